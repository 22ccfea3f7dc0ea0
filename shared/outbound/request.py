"""What is asked of a user's address, and which URLs and headers may stand in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote

from yarl import URL

from shared.outbound.failures import RequestRefused

LONGEST_URL: Final = 8_192
_SPACE_OR_CONTROL: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_AFTER_AUTHORITY: Final = re.compile(r"[/?#]")
_NOT_ENCODING: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SENT_PLAINLY: Final = "%/?:@!$&'()*+,;=~"
_NUMBER_LIKE: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_WELL_KNOWN_PORTS: Final = 1024
_WEB_PORTS: Final = frozenset({80, 443})
# What frames a message or speaks for a hop is the client's own to say.
_OWN_HEADERS: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"),
        *("proxy-authenticate", "proxy-authorization", "proxy-connection", "transfer-encoding", "upgrade", "cookie"),
    }
)


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """One request. `seconds` is for all of it, `most_bytes` for what is read of the answer, unpacked."""

    method: str
    url: str
    seconds: float
    most_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


def require_url(text: str) -> URL:
    """The URL as it will be asked for. Raises RequestRefused, which says what is wrong with it.

    What the host stands for is not looked at here, but that a number is an address in its usual form.
    """
    if len(text) > LONGEST_URL or _SPACE_OR_CONTROL.search(text):
        raise RequestRefused(f"A URL has no blanks and at most {LONGEST_URL} characters.")
    try:
        url = URL(text)
        host, port = url.raw_host, url.port
    except ValueError as error:
        raise RequestRefused("That is no URL.") from error
    if url.scheme not in ("http", "https") or not host:
        raise RequestRefused("A URL begins with https:// or http:// and names a host.")
    if "@" in _AFTER_AUTHORITY.split(text.partition("://")[2], maxsplit=1)[0]:  # an empty name is dropped from `url`
        raise RequestRefused("A URL holds no credentials.")
    if port is None or not 1 <= port <= 65_535 or (port < _WELL_KNOWN_PORTS and port not in _WEB_PORTS):
        raise RequestRefused("The port is 80, 443, or 1024 and above.")
    _require_usual_form(host)
    return URL(str(url.origin()) + _as_written(text), encoded=True)


def _as_written(text: str) -> str:
    """What follows the host, without a fragment. What is encoded stays so: `;` ends a name, and `%3B` does not."""
    _, _, rest = text.partition("://")
    begin = _AFTER_AUTHORITY.search(rest)
    path_and_query = (rest[begin.start() :] if begin else "").partition("#")[0]
    if not path_and_query.startswith("/"):
        path_and_query = "/" + path_and_query
    return quote(_NOT_ENCODING.sub("%25", path_and_query), safe=_SENT_PLAINLY)


def _require_usual_form(host: str) -> None:
    """127.1, 0x7f000001 and 2130706433 are one address to whoever connects, and none to whoever only reads."""
    if _NUMBER_LIKE.fullmatch(host) or ":" in host:
        try:
            is_usual = str(ip_address(host)) == host or ":" in host
        except ValueError:
            is_usual = False
        if not is_usual or "%" in host:
            raise RequestRefused("The host is no address in its usual form.")


def require_header(name: str, value: str) -> None:
    """Raises RequestRefused for one that is none of HTTP's, or that only the client itself may set."""
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
        raise RequestRefused(f"The header {name[:64]!r} may not be set.")
    if not _HEADER_VALUE.fullmatch(value):
        raise RequestRefused(f"The value of the header {name!r} holds a character that no header has.")
