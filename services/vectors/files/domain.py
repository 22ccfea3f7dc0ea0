"""A file as it is kept: what was said of it when it began, how much of it is there, and what it turned out to be."""

import itertools
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.words import Word

PART_BYTES: Final = 2**20
"""As much of a file as is in memory at once, and as is put away at once."""
Judge = Callable[[str, str, int], str]
"""Of a file that is all there, by its name, media type and bytes: what it is for. What it raises, refuses the file."""
DEFAULT_PURPOSE: Final = "assistants"
"""What a file is for of which OpenAI's clients said nothing."""
LOOSE_PARTS: Final = 32
"""So many of one MiB that is not whole yet are kept one by one; with the next they are joined."""
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
    most: int
    """As many bytes as it may come to: what a quota counts while nobody knows how many they are."""
    created_at: datetime
    expires_at: datetime
    """When it goes unless it is whole by then."""
    place: str
    """Where its bytes lie, which no other file ever had: also none that was made anew under the same key."""
    of: str = ""
    """What an `Idempotency-Key` came with, as hexadecimal digits; none without a key."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a file within one of its MiB, up to before `end`; each begins where the one before ends."""

    offset: int
    end: int
    is_joined: bool = False
    """Of parts that came one by one: it begins where its MiB does."""

    @property
    def begins(self) -> int:
        """Where its MiB does."""
        return self.offset - self.offset % PART_BYTES


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
    purpose: str = DEFAULT_PURPOSE
    """As OpenAI's clients said it."""

    @property
    def received(self) -> int:
        return self.parts[-1].end if self.parts else 0

    @property
    def bytes(self) -> int | None:
        """None where nobody has said how long it will be."""
        return self.received if self.is_ready else self.upload.length

    @property
    def is_ready(self) -> bool:
        return self.status is FileStatus.READY

    @property
    def is_here(self) -> bool:
        """Whether all of it came in pieces, though nobody may have written down yet that it is ready."""
        return self.received == self.upload.length


def in_a_row(parts: Iterable[Part], most: int | None = None) -> tuple[Part, ...]:
    """Those of `parts` that follow each other from the first byte on; given `most`, as long as they fit.

    Of two that begin together the longer counts, which others were joined to. What does not follow was put by an
    upload that another was faster than.
    """
    at: dict[int, Part] = {}
    for part in sorted(parts, key=lambda part: part.end):
        at[part.offset] = part
    row: list[Part] = []
    end = 0
    while end in at and at[end].end > end and (most is None or at[end].end <= most):
        row.append(at[end])
        end = row[-1].end
    return tuple(row)


def runs(parts: Iterable[Part]) -> list[list[Part]]:
    """Of each MiB that came in several parts: those, from its beginning on."""
    found = (list(run) for _, run in itertools.groupby(parts, key=lambda part: part.begins))
    return [run for run in found if len(run) > 1]


def to_be_joined(row: Sequence[Part]) -> list[Part]:
    """Those of the last MiB of `row`, when it is whole or there are too many of them; none when not yet."""
    last = row[-1]
    run = [part for part in row if part.begins == last.begins]
    return run if len(run) > 1 and (last.end % PART_BYTES == 0 or len(run) > LOOSE_PARTS) else []


def parts_of(length: int, joined: Iterable[int]) -> tuple[Part, ...]:
    """Those of a file that is ready: one for each MiB, those that begin at `joined` being joined."""
    are_joined = frozenset(joined)
    return tuple(
        Part(offset, min(length, offset + PART_BYTES), offset in are_joined) for offset in range(0, length, PART_BYTES)
    )


def is_file_name(name: str) -> bool:
    """Whether it names a file and nothing else: no folder, nothing that a terminal or a header would obey."""
    return (
        0 < len(name) <= MAX_FILE_NAME_CHARS
        and name not in (".", "..")
        and not any(sign in "/\\" or unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name)
    )
