"""The one kernel call that the standard library lacks."""

from __future__ import annotations

import ctypes
import os

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends (prctl(2), Linux 3.4).

    A daemon that a command leaves behind becomes our child, so it can be found, ended and reaped. It holds for
    the life of this process; calling it again changes nothing. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
