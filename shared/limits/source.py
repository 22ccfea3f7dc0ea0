"""Where a request comes from, for what is counted before anybody is known: anonymous requests and failed logins."""

from ipaddress import IPv6Address, ip_address

from fastapi import Request

_NETWORK_BITS = 64  # of IPv6: what one customer is given, and may choose a new address from for every request


def source_of(request: Request) -> str:
    """The client's IPv4 address or IPv6 network.

    The gateways overwrite `X-Real-IP`, so behind them it is true; a peer without a gateway is on our own network.
    """
    peer = request.client.host if request.client else ""
    return _source(request.headers.get("x-real-ip", "")) or _source(peer) or "unknown"


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
