"""What the process that decodes photos may do: compute, and answer over the pipes that it has.

A decoder that a hostile file took over could use whatever its process can. The filter of system
calls (seccomp, Linux 3.17) allows what computing takes and refuses all else: files, network, other
processes. Landlock would allow some files; none is needed, as everything is imported before. Where
the kernel has no seccomp, the limit of open files refuses files and sockets all the same.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import struct
import sys
from importlib import import_module
from pathlib import Path

# What developing imports when it first needs it, which it cannot do in a confined process.
_MODULES = (
    "PIL.AvifImagePlugin", "PIL.GifImagePlugin", "PIL.ImageChops", "PIL.ImageCms",
    "PIL.ImageFilter", "PIL.ImageSequence", "PIL.JpegImagePlugin", "PIL.PngImagePlugin",
    "PIL.TiffImagePlugin", "PIL.WebPImagePlugin", "_strptime", "cykooz_resizer", "encodings.ascii",
    "encodings.latin_1", "encodings.utf_16_be", "pillow_heif.as_plugin",
    "services.imaging.develop", "services.imaging.printing.saliency", "traceback",
)  # fmt: skip
_STANDARD_ERROR = 2
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 38, 22
_SECCOMP_MODE_FILTER = 2

# Numbers of system calls on x86-64 and on ARM64 (arch/x86/entry/syscalls/syscall_64.tbl and
# include/uapi/asm-generic/unistd.h of Linux).
_ALLOWED: tuple[tuple[int, int], ...] = (
    (202, 98),  # futex
    (0, 63),  # read
    (1, 64),  # write
    (9, 222),  # mmap
    (11, 215),  # munmap
    (28, 233),  # madvise
    (12, 214),  # brk
    (25, 216),  # mremap
    (10, 226),  # mprotect
    (3, 57),  # close
    (5, 80),  # fstat
    (8, 62),  # lseek
    (20, 66),  # writev
    (13, 134),  # rt_sigaction
    (14, 135),  # rt_sigprocmask
    (15, 139),  # rt_sigreturn
    (131, 132),  # sigaltstack
    (24, 124),  # sched_yield
    (204, 123),  # sched_getaffinity
    (35, 101),  # nanosleep
    (230, 115),  # clock_nanosleep
    (228, 113),  # clock_gettime
    (229, 114),  # clock_getres
    (96, 169),  # gettimeofday
    (39, 172),  # getpid
    (110, 173),  # getppid
    (186, 178),  # gettid
    (97, 163),  # getrlimit
    (160, 164),  # setrlimit
    (98, 165),  # getrusage
    (273, 99),  # set_robust_list
    (334, 293),  # rseq
    (324, 283),  # membarrier
    (318, 278),  # getrandom
    (79, 17),  # getcwd: Pillow compares file names, which pictures in memory have none of
    (219, 128),  # restart_syscall
    (60, 93),  # exit
    (231, 94),  # exit_group
)
# Calls that are allowed for some values of their first argument.
_CLONE, _CLONE3, _PRLIMIT, _KILL, _TGKILL = (56, 220), (435, 435), (302, 261), (62, 129), (234, 131)
_CLONE_THREAD = 0x10000
# By machine: the architecture's number in the filter (linux/audit.h) and the column above.
_ARCHITECTURES = {"x86_64": (0xC000_003E, 0), "aarch64": (0xC000_00B7, 1)}
# Classic BPF (linux/filter.h): load a word of seccomp_data; jump; return.
_LOAD, _IF_EQUAL, _IF_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENT_AT = 0, 4, 16
_ALLOW, _REFUSE = 0x7FFF_0000, 0x0005_0000
_INSTRUCTION = struct.Struct("HBBI")


def import_all() -> None:
    """Imports everything that developing a photo may need."""
    for name in _MODULES:
        import_module(name)


def confine(kept: set[int], parent: int) -> bool:
    """Confines this process for good; returns whether the kernel filters its system calls.

    Closes all file descriptors but `kept` and standard error. The process ends with `parent`, and
    is the first that the system ends when memory runs out.
    """
    import ctypes  # here: the parent needs none of it

    libc = ctypes.CDLL(None, use_errno=True)
    for name in (signal.SIGTERM, signal.SIGXCPU):
        signal.signal(name, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if number > _STANDARD_ERROR and number not in kept:
            with contextlib.suppress(OSError):
                os.close(number)
    with contextlib.suppress(AttributeError):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before
        os._exit(0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _ARCHITECTURES:
        return False
    instructions = _filter(*_ARCHITECTURES[machine], os.getpid())
    program = ctypes.create_string_buffer(b"".join(instructions))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    filtered = Program(len(instructions), ctypes.addressof(program))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return not libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filtered), 0, 0)


def _filter(architecture: int, column: int, pid: int) -> list[bytes]:
    """The filter's instructions. Numbers are compared in full: those of the x32 ABI have a bit more
    than those allowed."""
    allow, refuse = _step(_RETURN, _ALLOW), _step(_RETURN, _REFUSE | errno.EPERM)
    steps = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_IF_EQUAL, architecture, 1, 0),
        refuse,
        _step(_LOAD, _NUMBER_AT),
    ]
    for numbers in _ALLOWED:
        steps += [_step(_IF_EQUAL, numbers[column], 0, 1), allow]
    for call, test, value in (
        (_CLONE, _IF_BITS, _CLONE_THREAD),  # a thread, not a process
        (_PRLIMIT, _IF_EQUAL, 0),  # of this process
        (_KILL, _IF_EQUAL, pid),
        (_TGKILL, _IF_EQUAL, pid),  # abort() sends a signal to itself
    ):
        steps += [
            _step(_IF_EQUAL, call[column], 0, 4),
            _step(_LOAD, _ARGUMENT_AT),
            _step(test, value, 0, 1),
            allow,
            refuse,
        ]
    # Its arguments are in memory, where a filter cannot see them. The C library then uses clone.
    steps += [_step(_IF_EQUAL, _CLONE3[column], 0, 1), _step(_RETURN, _REFUSE | errno.ENOSYS)]
    return [*steps, refuse]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, if_true, if_false, value)
