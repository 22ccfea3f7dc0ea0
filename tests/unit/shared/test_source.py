"""Where a request comes from, and whose word counts about it."""

from typing import Any

import pytest
from fastapi import Request
from pydantic import SecretStr

from shared.limits import GatewaysWord, source_of

TOKEN = "t" * 40
BY_THE_GATEWAY = {"x-gateway-token": TOKEN}
FORGED = {"x-real-ip": "203.0.113.7"}


def seen(peer: str | None, headers: dict[str, str], token: str | None = TOKEN) -> str:
    """The source of a request with these headers, at a service that knows its gateway by this token."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "headers": raw, "client": (peer, 1) if peer else None}
    GatewaysWord(SecretStr(token) if token else None).note(scope, dict(raw))
    return source_of(Request(scope))


@pytest.mark.parametrize(
    ("real_ip", "source"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_the_gateways_word_counts(real_ip: str, source: str) -> None:
    assert seen("10.0.0.1", BY_THE_GATEWAY | {"x-real-ip": real_ip}) == source


@pytest.mark.parametrize("headers", [{}, {"x-real-ip": "nonsense"}, {"x-forwarded-for": "203.0.113.7"}])
def test_without_it_the_peer_is_the_source(headers: dict[str, str]) -> None:
    assert seen("10.0.0.1", BY_THE_GATEWAY | headers) == "10.0.0.1"


@pytest.mark.parametrize("proof", [{}, {"x-gateway-token": "u" * 40}, {"x-gateway-token": ""}])
def test_nobody_elses_word_counts(proof: dict[str, str]) -> None:
    assert seen("10.0.0.1", FORGED | proof) == "10.0.0.1"


@pytest.mark.parametrize("proof", [{}, {"x-gateway-token": ""}, {"x-gateway-token": "None"}])
def test_a_service_without_a_token_believes_nobody(proof: dict[str, str]) -> None:
    assert seen("10.0.0.1", FORGED | proof, token=None) == "10.0.0.1"


def test_a_word_that_is_not_believed_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    word = GatewaysWord(SecretStr(TOKEN))
    for _ in range(3):
        scope: dict[str, Any] = {"type": "http", "headers": [], "client": ("10.0.0.1", 1)}
        word.note(scope, {b"x-real-ip": b"203.0.113.7", b"x-gateway-token": b"another"})
        source_of(Request(scope))

    assert caplog.messages == ["X-Real-IP is not believed, callers count by who connects"]
    assert "another'" not in str(vars(caplog.records[0]))


def test_where_no_source_is_asked_for_nothing_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    GatewaysWord(None).note({}, {b"x-real-ip": b"203.0.113.7"})

    assert caplog.messages == []


def test_a_peer_on_a_unix_socket_is_one_source() -> None:
    assert seen(None, {}) == "unknown"
