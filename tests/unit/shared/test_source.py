"""Where a request comes from."""

import pytest
from fastapi import Request

from shared.limits import source_of


def request(peer: str | None, **headers: str) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "client": (peer, 1) if peer else None})


@pytest.mark.parametrize(
    ("real_ip", "source"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_the_gateways_word_counts(real_ip: str, source: str) -> None:
    assert source_of(request("10.0.0.1", **{"x-real-ip": real_ip})) == source


@pytest.mark.parametrize("headers", [{}, {"x-real-ip": "nonsense"}, {"x-forwarded-for": "203.0.113.7"}])
def test_without_it_the_peer_is_the_source(headers: dict[str, str]) -> None:
    assert source_of(request("10.0.0.1", **headers)) == "10.0.0.1"


def test_a_peer_on_a_unix_socket_is_one_source() -> None:
    assert source_of(request(None)) == "unknown"
