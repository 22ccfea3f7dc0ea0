"""Tells a full disk from every other failure of a file, wherever one is written."""

import errno
from typing import Final

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(error: BaseException | None) -> bool:
    """Whether `error` says that a disk, a quota of it or the largest file that it has takes no more."""
    return isinstance(error, OSError) and error.errno in _FULL
