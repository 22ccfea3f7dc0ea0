"""CSV: each row under the names of its columns, which the first row has."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.tasks.documents.blocks import Block, DocumentType, row
from services.tasks.documents.bounds import CELL_CHARS
from services.tasks.documents.failures import DocumentBroken
from services.tasks.documents.plain import text_of

_DELIMITERS: Final = ",;\t|"
_LOOKED_AT: Final = 2**16  # characters


def read(path: Path) -> Iterator[Block]:
    """Raises DocumentBroken where a quote is never closed or a cell is beyond all measure."""
    text = text_of(path, DocumentType.CSV)
    csv.field_size_limit(CELL_CHARS)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        names = next(rows, [])
        for cells in rows:
            columns = [*names, *(f"column {n}" for n in range(len(names) + 1, len(cells) + 1))]
            if (block := row(list(zip(columns, cells, strict=False)))) is not None:
                yield block
    except csv.Error as error:
        raise DocumentBroken(f"The table cannot be read at line {rows.line_num}: {error}.") from error


def _delimiter(text: str) -> str:
    """The one that the first line has most of: a sniffer takes letters for delimiters."""
    first = text[:_LOOKED_AT].lstrip("\n").split("\n", 1)[0]
    return max(_DELIMITERS, key=first.count)
