"""Takes secrets out of what servers answer: some repeat what they were sent.

A server that wants to show a secret to a model can: it has it, and may spell it as nobody expects. What is taken out
is what servers repeat by accident: the value plainly, and as JSON, a URL, HTML and base64 write it.
"""

import html
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

import orjson

_SHORTEST_ENCODED: Final = 8
"""Characters: what is shorter in base64 stands in too much that is no secret."""
_BASE64_GROUP: Final = 3
_ESCAPED_IN_JSON: Final = re.compile(r"[=<>&'+]")
_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_Span = tuple[int, int, str]


class Redaction:
    """How some secrets are written, told once for all texts that they are taken out of: it is the dear part of it."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._forms = sorted({(form, name) for name, value in secrets.items() for form in _forms(value)})
        self._longest = max((len(form) for form, _ in self._forms), default=0)

    def of(self, text: str, most: int | None = None) -> str:
        """The text with the secrets' names in place of their values, cut to `most` characters.

        A secret that lies across the cut is taken out whole: it is looked for in what follows the cut too.
        """
        seen = text if most is None else text[: most + self._longest]
        end = len(seen) if most is None else min(most, len(seen))
        spans = sorted(span for form, name in self._forms for span in _found(seen, form, name) if span[0] < end)
        return "".join(_kept(seen[:end], spans))[:most]


def without_secrets(text: str, secrets: Mapping[str, str], most: int | None = None) -> str:
    """Of one text, as `Redaction.of`."""
    return Redaction(secrets).of(text, most)


def _found(text: str, form: str, name: str) -> Iterator[_Span]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form), name
        at = text.find(form, at + len(form))


def _kept(text: str, spans: list[_Span]) -> Iterator[str]:
    """What lies in no span, and the name of each; of those that overlap, of the first."""
    done = 0
    for begin, end, name in spans:
        if begin >= done:
            yield text[done:begin]
            yield f"[{name}]"
        done = max(done, end)
    yield text[done:]


def _forms(value: str) -> set[str]:
    """How a value is written, as it is or without the blanks at its ends."""
    return {form for one in (value, value.strip()) if one for form in _written(one)}


def _written(value: str) -> set[str]:
    plain = {value, value.replace("\\", "\\\\")}
    in_json = orjson.dumps(value).decode()[1:-1]
    lower = _ESCAPED_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", in_json)
    upper = _ESCAPED_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04X}", in_json)
    some = re.sub(r"[<>&]", lambda found: f"\\u{ord(found[0]):04x}", in_json)
    json_forms = {form for one in (in_json, some, lower, upper) for form in (one, one.replace("/", "\\/"))}
    in_urls = {quote(value), quote(value, safe=""), quote_plus(value)}
    in_urls |= {_PERCENT.sub(lambda found: found[0].lower(), one) for one in in_urls}
    htmls = {html.escape(value, quote=False), html.escape(value)}
    htmls |= {one.replace("&#x27;", "&#39;") for one in htmls}
    htmls |= {one.replace("&quot;", "&#34;") for one in htmls}
    return plain | json_forms | in_urls | htmls | _in_base64(value.encode())


def _in_base64(value: bytes) -> set[str]:
    """What is the same whatever stands before and after the value."""
    forms = set()
    for before in range(_BASE64_GROUP):
        written = b64encode(bytes(before) + value).decode()
        first, end = (before * 4 + 2) // _BASE64_GROUP, (before + len(value)) * 4 // _BASE64_GROUP
        forms |= {written[first:end], written[first:end].replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= _SHORTEST_ENCODED}
