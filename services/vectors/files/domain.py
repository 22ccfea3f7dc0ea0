"""A file as it is kept: what was said of it when it began, how much of it is there, and what it turned out to be."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.words import Word

PART_BYTES: Final = 2**20
"""As much of a file as is in memory at once, and as is put away at once."""
SPARE_PARTS: Final = 1_000
"""So many more than full ones a file may have: an upload byte by byte would make a million."""
MAX_FILE_NAME_CHARS: Final = 255


class FileStatus(Word):
    """Whether all of it is there."""

    UPLOADING = "uploading"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Upload:
    """What is said of a file before its first byte, and never changed."""

    name: str
    length: int | None
    """Where it is sent in pieces; None where it comes in one."""
    created_at: datetime
    expires_at: datetime
    """When it goes unless it is whole by then."""
    of: str = ""
    """What an `Idempotency-Key` came with, as hexadecimal digits; none without a key."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a file; each begins where the one before ends."""

    offset: int
    bytes: int

    @property
    def end(self) -> int:
        return self.offset + self.bytes


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A tenant's file. Once it is ready, nothing of it changes."""

    id: str
    tenant_id: str
    upload: Upload
    status: FileStatus
    media_type: str | None
    """By its content; None until it is ready."""
    parts: tuple[Part, ...]

    @property
    def received(self) -> int:
        return self.parts[-1].end if self.parts else 0

    @property
    def bytes(self) -> int | None:
        """None where nobody has said how long it will be."""
        return self.received if self.is_ready else self.upload.length

    @property
    def most_parts(self) -> int:
        """Whoever has put as many sends pieces that are too small."""
        return SPARE_PARTS + (self.upload.length or 0) // PART_BYTES

    @property
    def is_ready(self) -> bool:
        return self.status is FileStatus.READY


def in_a_row(parts: list[Part], most: int | None = None) -> tuple[Part, ...]:
    """Those of `parts`, by offset, that follow each other from the first byte on; given `most`, as long as they fit.

    What does not follow was put by an upload that another was faster than.
    """
    row: list[Part] = []
    for part in parts:
        if part.offset != (row[-1].end if row else 0) or (most is not None and part.end > most):
            break
        row.append(part)
    return tuple(row)


def is_file_name(name: str) -> bool:
    """Whether it names a file and nothing else: no folder, nothing that a terminal or a header would obey."""
    return (
        0 < len(name) <= MAX_FILE_NAME_CHARS
        and name not in (".", "..")
        and not any(sign in "/\\" or unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name)
    )
