"""Reads the catalogue of error codes, `docs/errors.md`, so that the page shows what is documented and nothing else.

Of Markdown it understands what the catalogue uses: headings of two levels, paragraphs, and tables of three columns.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CATALOGUE: Final = Path(__file__).parents[2] / "docs" / "errors.md"
NO_STATUS: Final = "–"  # noqa: RUF001 - a dash, as a table has it
_ROW = re.compile(r"\|\s*`([a-z0-9_.]+)`\s*\|\s*(\d{3}|–)\s*\|\s*(.+?)\s*\|$")  # noqa: RUF001 - the same
_FRAME = re.compile(r"\|[\s:|-]+\|$|\|\s*code\s*\|")


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One stable code; without a status where it is that of a task which failed, and never an answer's."""

    code: str
    status: int | None
    meaning: str


@dataclass(slots=True)
class Section:
    """The codes of one part of the system; the first section has the title of the page and the introduction."""

    title: str
    paragraphs: list[str] = field(default_factory=list)
    entries: list[ErrorEntry] = field(default_factory=list)


def read_catalogue(text: str) -> list[Section]:
    """The sections in order. Raises ValueError on a table row that is not `code`, status, meaning."""
    sections: list[Section] = []
    for block in text.split("\n\n"):
        for line in _lines(block):
            if line.startswith("#"):
                sections.append(Section(line.lstrip("# ")))
            elif line.startswith("|"):
                _add_row(sections[-1], line)
            else:
                sections[-1].paragraphs.append(line)
    return sections


def _lines(block: str) -> Iterator[str]:
    """Headings and rows are a line each; the lines of a paragraph are one."""
    lines = [line.strip() for line in block.strip().splitlines()]
    if lines and not lines[0].startswith(("#", "|")):
        yield " ".join(lines)
    else:
        yield from lines


def _add_row(section: Section, line: str) -> None:
    if _FRAME.match(line):
        return
    row = _ROW.fullmatch(line)
    if row is None:
        raise ValueError(f"not a row of the error catalogue: {line}")
    section.entries.append(ErrorEntry(row[1], None if row[2] == NO_STATUS else int(row[2]), row[3]))
