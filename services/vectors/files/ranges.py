"""Which bytes of a file are asked for, and how an answer names the file (RFC 9110, section 14; RFC 6266)."""

import re
from typing import Final
from urllib.parse import quote

from services.vectors.files.errors import RangeUnsatisfiable

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\s*")
_UNQUOTABLE: Final = re.compile(r'[^\x20-\x7e]|["\\%]')


def asked_range(header: str | None, length: int) -> tuple[int, int] | None:
    """From where to before where; None for all of it, as for anything but one range of bytes.

    Raises RangeUnsatisfiable.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:  # the last so many
        start, end = max(0, length - int(found[2])), length
    else:
        start, end = int(found[1]), min(length, int(found[2]) + 1 if found[2] else length)
        if found[2] and int(found[2]) < start:
            return None  # which is no range at all
    if start >= end:
        raise RangeUnsatisfiable(length)
    return start, end


def attachment(name: str) -> str:
    """`Content-Disposition`: to be saved under the name, and not shown."""
    return f"attachment; filename=\"{_UNQUOTABLE.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"
