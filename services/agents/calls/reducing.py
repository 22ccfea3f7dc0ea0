"""Answers of tools as text for a model.

Nothing is cut here: what is cut before secrets are taken out may end in half of one.
"""

import codecs
import re
from email.message import Message
from typing import Final

import orjson

from services.agents.calls.domain import Called
from shared.outbound import Content

_REDIRECTED, _FAILED = 300, 400
_MOST_OF_AN_ERROR: Final = 2_000
_TEXTS: Final = frozenset(
    {"application/xml", "application/yaml", "application/x-yaml", "application/javascript", "application/x-ndjson"}
)

_CHARSETS: Final = re.compile(
    r"utf-8(-sig)?|utf-(16|32)(-[bl]e)?|ascii|iso8859-\d+|cp(125\d|874|932|949|950)|koi8-[rtu]|mac-roman"
    r"|shift_jis|gb2312|gbk|gb18030|big5(hkscs)?|euc_(jp|kr)|johab|tis-620"
)


def reduced(content: Content) -> Called:
    """What the model is told: JSON without its blanks, other text as it is, and of anything else what it was."""
    if content.status >= _FAILED:
        told = _text(content)
        told = f": {told}" if told else "."
        told = f"The tool answered with the status {content.status}{told}"
        return Called(told, is_error=True, is_truncated=content.is_cut, most=_MOST_OF_AN_ERROR)
    if content.status >= _REDIRECTED:
        return Called("The tool answered with a redirect, which is not followed.", is_error=True)
    if not content.body:
        return Called("The tool answered with nothing.")
    text = _text(content)
    if text is None:
        return Called("The tool answered with something that is no text.", is_error=True)
    return Called(text, is_truncated=content.is_cut)


def _text(content: Content) -> str | None:
    """None for what is no text."""
    header = Message()
    header["content-type"] = content.headers.get("content-type", "text/plain")
    media_type, charset = header.get_content_type(), _charset(header)
    if media_type == "application/json" or media_type.endswith("+json"):
        return _compacted(content.body, charset)
    if media_type.startswith("text/") or media_type.endswith("+xml") or media_type in _TEXTS:
        return _decoded(content.body, charset)
    return None


def _compacted(body: bytes, charset: str) -> str | None:
    try:
        return orjson.dumps(orjson.loads(body)).decode()
    except (orjson.JSONDecodeError, TypeError):  # cut, in another encoding, or no JSON after all
        return _decoded(body, charset)


def _charset(header: Message) -> str:
    """That of texts which the header names, else UTF-8: of the others some take for ever, and some are no text."""
    try:
        named = codecs.lookup(header.get_content_charset("utf-8")).name
    except (LookupError, ValueError):
        return "utf-8"
    return named if _CHARSETS.fullmatch(named) else "utf-8"


def _decoded(body: bytes, charset: str) -> str | None:
    text = body.decode(charset, errors="replace")
    return None if "\x00" in text else text
