"""The first code in an execution environment's process; it starts awslambdaric.

    python -m services.runtime.environment handler.handler

It limits the process's memory. When the worker dies, the environment finishes its invocation and
then ends, at the latest at the invocation's deadline. Imports little, since it is part of the cold
start.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import time

FDS_VARIABLE = "WORKER_ENVIRONMENT_FDS"
MEMORY_LIMIT_VARIABLE = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
DEADLINE = struct.Struct("d")
ORPHAN_EXIT_STATUS = 75
# An idle orphan ends when the Runtime API disconnects; this is for one that does not.
ORPHAN_IDLE_SECONDS = 2.0
# The worker samples resident memory and kills beyond the limit. Between two samples this stops a
# runaway allocation before it takes the machine; generous, since it counts what is reserved too.
DATA_LIMIT_FACTOR = 2
DATA_LIMIT_EXTRA_MIB = 512


def main() -> None:
    """Runs the handler named on the command line, as Lambda would."""
    lifeline, deadline, output = (int(fd) for fd in os.environ.pop(FDS_VARIABLE).split(","))
    _limit_memory(int(os.environ[MEMORY_LIMIT_VARIABLE]))
    threading.Thread(
        target=_outlive, args=(lifeline, deadline, output), name="lifeline", daemon=True
    ).start()

    from awslambdaric.__main__ import main as run

    run(sys.argv)


def _limit_memory(memory_mib: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    import resource

    limit = (memory_mib * DATA_LIMIT_FACTOR + DATA_LIMIT_EXTRA_MIB) * 1024 * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or limit <= hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _outlive(lifeline: int, deadline: int, output: int) -> None:
    """Waits for the worker's end, then ends this process at its deadline.

    The worker holds the other end of `lifeline` and never writes; `deadline` is a file that holds
    the running invocation's deadline; `output` is the reading end of this process's own stdout.
    With that end open a handler's print never fails because the worker is gone; it is read here so
    that no print blocks.
    """
    while os.read(lifeline, 1):
        pass
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    until = max(
        time.monotonic() + ORPHAN_IDLE_SECONDS, DEADLINE.unpack(os.pread(deadline, 8, 0))[0]
    )
    os.set_blocking(output, False)
    while time.monotonic() < until:
        try:
            os.read(output, 65536)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            continue
    os._exit(ORPHAN_EXIT_STATUS)


if __name__ == "__main__":
    main()
