/* Shifts the realtime clock of a process by the seconds in the file that JUMPING_CLOCK names. The
   file is read again every JUMPING_CLOCK_SECONDS, at a time of each process's own. Monotonic clocks
   stay, and Postgres keeps the machine's clock. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static char *file;
static long pause_seconds;
static long read_at = -1;
static long shift;

/* Once: a forked environment has other variables later. */
__attribute__((constructor)) static void start(void) {
  const char *name = getenv("JUMPING_CLOCK"), *pause = getenv("JUMPING_CLOCK_SECONDS");
  if (!name || !pause || strcmp(program_invocation_short_name, "postgres") == 0) return;
  pause_seconds = atol(pause);
  file = strdup(name);
}

static long offset_seconds(void) {
  struct timespec now;
  char text[32] = {0};
  int kept = errno, opened;
  if (!file) return 0;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  if (read_at < 0 || now.tv_sec - read_at >= pause_seconds) {
    read_at = now.tv_sec;
    /* A confined process may open no file: its shift stays. */
    opened = open(file, O_RDONLY | O_CLOEXEC);
    if (opened >= 0) {
      if (read(opened, text, sizeof text - 1) > 0) shift = atol(text);
      close(opened);
    }
  }
  errno = kept;
  return shift;
}

int clock_gettime(clockid_t clock, struct timespec *found) {
  int failed = (int)syscall(SYS_clock_gettime, clock, found);
  if (!failed && clock == CLOCK_REALTIME) found->tv_sec += offset_seconds();
  return failed;
}

int gettimeofday(struct timeval *restrict found, void *restrict zone) {
  int failed = (int)syscall(SYS_gettimeofday, found, zone);
  if (!failed) found->tv_sec += offset_seconds();
  return failed;
}

time_t time(time_t *found) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (found) *found = now.tv_sec;
  return now.tv_sec;
}
