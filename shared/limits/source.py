"""Where a request comes from, for what is counted before anybody is known: anonymous requests and failed logins."""

import logging
from collections.abc import Mapping, MutableMapping
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address
from typing import Any

from fastapi import Request
from pydantic import SecretStr

_log = logging.getLogger("shared.limits")
_TOLD, _DOUBTS = "sutazai.source", "sutazai.source.doubts"
_REAL_IP, _TOKEN = b"x-real-ip", b"x-gateway-token"
_NETWORK_BITS = 64  # of IPv6: what one customer is given, and may choose a new address from for every request


class GatewaysWord:
    """Believes `X-Real-IP` of whoever proves to be the gateway by its token; without a token nobody."""

    def __init__(self, token: SecretStr | None) -> None:
        self._token = token.get_secret_value().encode() if token else None
        self._has_warned = False

    def note(self, scope: MutableMapping[str, Any], given: Mapping[bytes, bytes]) -> None:
        """Keep for `source_of` what the gateway says of this request; `given` are its headers."""
        if (told := given.get(_REAL_IP)) is None:
            return
        if self._token is not None and compare_digest(given.get(_TOKEN, b""), self._token):
            scope[_TOLD] = told
        elif not self._has_warned:
            scope[_DOUBTS] = self.warn

    def warn(self) -> None:
        """That somebody was not believed, where it matters to somebody. Once: it may be an attempt to fill the log."""
        if not self._has_warned:
            self._has_warned = True
            cause = "no or another token came with it" if self._token else "GATEWAY_TOKEN is not set"
            _log.warning("X-Real-IP is not believed, callers count by who connects", extra={"fields": {"cause": cause}})


def source_of(request: Request) -> str:
    """The client's IPv4 address or IPv6 network, as the gateway says; else whoever connects to us is the client."""
    if doubts := request.scope.get(_DOUBTS):
        doubts()
    told: bytes = request.scope.get(_TOLD, b"")
    peer = request.client.host if request.client else ""
    return _source(told.decode("latin-1")) or _source(peer) or "unknown"


def _source(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    host_bits = 128 - _NETWORK_BITS
    return f"{IPv6Address(int(address) >> host_bits << host_bits)}/{_NETWORK_BITS}"
