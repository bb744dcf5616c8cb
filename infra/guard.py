"""Ties a program's life to its parent's, then becomes that program.

Run as ``python guard.py PARENT_PID PROGRAM [ARGUMENT…]`` by the supervisor. The kernel then kills
the program when the supervisor ends in whatever way, kill -9 included, which no handler in the
supervisor could see to. It is a program of its own because the request must be made after the fork,
and Python code between fork and exec is not safe in a process with threads. Only the standard
library may be imported here.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h; it survives exec


def main() -> None:
    """Ask for the signal, make sure that the parent still lives, and execute the program."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != int(parent):  # it died before the request, so no signal will come
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
