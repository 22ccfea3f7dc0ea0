"""Requests that HTTP does not allow are refused, and the answer is a problem too."""

import socket
from contextlib import suppress

import httpx
import pytest

from tests.fixtures.given_gateway import only_on
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.gateway.running import Edge

AGENTS = "/api/v1/agents/list"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /docs HTTP/1.1\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
        pytest.param(
            b"GET /docs HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
            431,
            marks=only_on("envoy", "nginx says 400 of headers that are too large"),
        ),
    ],
)
def test_request_too_broken_to_route_is_a_problem_too(edge: Edge, request_bytes: bytes, status: int) -> None:
    url = edge.client.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request_bytes)
        answer = read_to_the_end(connection)

    head, body = answer.split("\r\n\r\n", 1)
    problem = httpx.Response(status, content=body).json()
    assert head.startswith(f"HTTP/1.1 {status}")
    assert "content-type: application/problem+json" in head
    assert problem["status"] == status
    assert isinstance(problem["instance"], str)
    assert isinstance(problem["trace_id"], str)


def read_to_the_end(connection: socket.socket) -> str:
    """All that is said before the gateway hangs up, which it does roughly where it has left something unread."""
    said = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            said += part
    return said.decode()


@pytest.mark.parametrize("hosts", [["a", "b"], [""]])
def test_a_request_for_two_hosts_or_none_is_refused(edge: Edge, hosts: list[str]) -> None:
    url = edge.client.base_url
    lines = [f"GET {AGENTS} HTTP/1.1", *(f"Host: {host}" for host in hosts), "Connection: close", "", ""]
    with socket.create_connection((url.host, url.port or 80), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = connection.makefile("rb").read().decode()

    assert answer.startswith("HTTP/1.1 400 ")
    assert '"code":"common.bad_request"' in answer
