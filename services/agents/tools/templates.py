"""Puts arguments into the template of a URL, so that none changes where the request goes.

The host is never part of the template. In the path an argument is one segment, or part of one: `/`, `?`, `#` and `%`
are encoded, and what a server might read as `.` or `..` is refused, since no encoding protects it. In the query a pair
whose argument is missing is left out.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, unquote_plus

import orjson

from shared.outbound import LONGEST_URL

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}")
_TEMPLATE: Final = re.compile(
    r"(?P<origin>https?://[^/?#{}]+)(?P<path>(?:/[^?#]*)?)(?:\?(?P<query>[^#]*))?", re.IGNORECASE
)
_MOST_DECODINGS: Final = 8
# Controls, and bytes that are no UTF-8: among these are longer spellings of `.` and `/`.
_NO_NAME: Final = re.compile(r"[\x00-\x1f\x7f\ufffd]")


class ArgumentRefused(Exception):
    """An argument that cannot stand where its placeholder is."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(detail)
        self.name, self.detail = name, detail


class UrlTemplate:
    """`https://host/path/{a}?b={b}`."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for a placeholder elsewhere than in the path and the query, or a brace that is none."""
        found = _TEMPLATE.fullmatch(text)
        if found is None or re.search(r"[{}]", _PLACEHOLDER.sub("", text)):
            raise ValueError("placeholders stand in the path and the query only, as {name}")
        self._origin, self._path = found["origin"], found["path"]
        self._query = found["query"].split("&") if found["query"] else []

    @property
    def in_path(self) -> set[str]:
        """The placeholders of the path, which always need an argument."""
        return set(_PLACEHOLDER.findall(self._path))

    @property
    def names(self) -> set[str]:
        """All its placeholders."""
        return self.in_path | {name for pair in self._query for name in _PLACEHOLDER.findall(pair)}

    @property
    def in_query(self) -> set[str]:
        """The parameters that its own query has, which no argument repeats: of two, servers may take the second."""
        return {unquote_plus(pair.partition("=")[0]) for pair in self._query}

    @property
    def sample(self) -> str:
        """A URL of this template."""
        return self.filled(dict.fromkeys(self.names, "x"), {})

    def filled(self, arguments: Mapping[str, Any], rest: Mapping[str, Any]) -> str:
        """The URL with the arguments, and `rest` at the end of its query. Raises ArgumentRefused."""
        query = [*self._pairs(arguments), *_listed(rest)]
        return self._origin + self._filled_path(arguments) + ("?" + "&".join(query) if query else "")

    def _filled_path(self, arguments: Mapping[str, Any]) -> str:
        segments = []
        for segment in self._path.split("/"):
            names = _PLACEHOLDER.findall(segment)
            texts = {name: _text(name, arguments.get(name)) for name in names}
            plain = _PLACEHOLDER.sub(lambda found, texts=texts: texts[found[1]], segment)
            if names and not _is_plain(plain):
                raise ArgumentRefused(names[0], "cannot stand in a path")
            segments.append(_PLACEHOLDER.sub(lambda found, texts=texts: quote(texts[found[1]], safe=""), segment))
        return "/".join(segments)

    def _pairs(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        for pair in self._query:
            names = _PLACEHOLDER.findall(pair)
            if all(arguments.get(name) is not None for name in names):
                yield _PLACEHOLDER.sub(lambda found: quote(_text(found[1], arguments[found[1]]), safe=""), pair)


def _is_plain(segment: str) -> bool:
    """Whether no server reads more into it than names, however often it decodes, with or without what follows a `;`."""
    decoded = _decoded(segment)
    if decoded is None or _NO_NAME.search(decoded):
        return False
    return all(part.partition(";")[0].strip() not in ("", ".", "..") for part in re.split(r"[/\\]", decoded))


def _decoded(segment: str) -> str | None:
    """Decoded until nothing changes any more; None where that takes longer than for any honest name."""
    if len(segment) > LONGEST_URL:
        return None
    for _ in range(_MOST_DECODINGS):
        decoded = unquote(segment)
        if decoded == segment:
            return decoded
        segment = decoded
    return None


def _text(name: str, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return orjson.dumps(value).decode()
        case str():
            return value
    raise ArgumentRefused(name, "must be a text, a number or a boolean where the URL has it")


def _listed(rest: Mapping[str, Any]) -> Iterator[str]:
    """Pairs of a query: an array is its items, one after the other; an object is JSON."""
    for name, value in rest.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                text = orjson.dumps(one).decode() if isinstance(one, dict | list) else _text(name, one)
                yield f"{quote(name, safe='')}={quote(text, safe='')}"
