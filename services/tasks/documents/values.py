"""JSON: what is in a list is a row each, what has a name stands under it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from services.tasks.documents.blocks import Block, BlockKind, DocumentType, row
from services.tasks.documents.bounds import DEPTH
from services.tasks.documents.failures import DocumentBroken, TooDeep
from services.tasks.documents.plain import text_of

_HEADINGS: Final = 6


def read(path: Path) -> Iterator[Block]:
    """Raises DocumentBroken for what is no JSON, TooDeep."""
    text = text_of(path, DocumentType.JSON)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error):
            raise TooDeep from error
        raise DocumentBroken(f"The document is no JSON: {error}.") from error
    yield from _blocks(value, 1)


def _blocks(value: Any, level: int) -> Iterator[Block]:
    if level > DEPTH:
        raise TooDeep
    if isinstance(value, list):
        for one in value:
            yield from _rows(one)
    elif isinstance(value, dict):
        inner = {name: one for name, one in value.items() if isinstance(one, dict | list)}
        yield from _rows({name: one for name, one in value.items() if name not in inner})
        for name, one in inner.items():
            if name.strip():
                yield Block(BlockKind.HEADING, " ".join(name.split()), level=min(level, _HEADINGS))
            yield from _blocks(one, level + 1)
    else:
        yield from _rows(value)


def _rows(value: Any) -> Iterator[Block]:
    if (block := row(list(_cells(value, "", 0)))) is not None:
        yield block


def _cells(value: Any, name: str, depth: int) -> Iterator[tuple[str, str]]:
    """Every leaf under its path."""
    if depth > DEPTH:
        raise TooDeep
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _cells(one, f"{name}.{key}" if name else key, depth + 1)
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        for number, one in enumerate(value, 1):
            yield from _cells(one, f"{name}.{number}" if name else str(number), depth + 1)
    elif isinstance(value, list):
        yield name, ", ".join(map(_scalar, value))
    elif value is not None:
        yield name, _scalar(value)


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
