"""Streams pass as they come."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack

import httpx
import pytest

from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.gateway.running import Edge, Gateway, edited, gateway

MESSAGE = "/api/v1/chat/message"
IMPATIENT = [("read_timeout: 120000", "read_timeout: 300"), ("write_timeout: 120000", "write_timeout: 300")]


def test_first_event_arrives_before_the_second_exists(edge: Edge, services: dict[str, str]) -> None:
    turn = {"X-Turn": "first-event"}
    with edge.client.stream("POST", MESSAGE, json={}, headers={"x-test": "stream", **turn}) as answer:
        events = answer.iter_raw()
        first = next(events)
        # Only now the second event is made.
        httpx.get(f"{services['chat']}/release", headers=turn, timeout=PATIENCE_SECONDS, verify=authorities())
        rest = b"".join(events)

    assert answer.headers["content-type"] == "text/event-stream"
    assert (first, rest) == (b"id: 1\ndata: first\n\n", b"id: 2\ndata: second\n\n")


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, services: dict[str, str]) -> Iterator[Gateway]:
    """A gateway that endures 300 ms of silence in chat."""
    directory = tmp_path_factory.mktemp("impatient")
    with gateway(directory, services, KONG_CONFIG=str(edited(directory, *IMPATIENT))) as running:
        yield running


def test_silent_service_is_given_up_on(impatient: Gateway) -> None:
    answer = impatient.client.post(MESSAGE, json={}, headers={"x-test": "hang"})

    assert answer.status_code == 504
    assert answer.json()["code"] == "common.upstream_timeout"
    assert answer.json()["detail"] == "The chat service did not answer in time."


def test_stream_that_falls_silent_is_cut(impatient: Gateway) -> None:
    with ExitStack() as begun:
        answer = begun.enter_context(asked_for_a_stream(impatient))
        while answer.status_code == 504:  # the service stood still before it had begun, and that is silence too
            begun.close()
            answer = begun.enter_context(asked_for_a_stream(impatient))
        events = answer.iter_raw()
        first = next(events)

        assert first
        assert is_cut(events)


def asked_for_a_stream(running: Gateway) -> AbstractContextManager[httpx.Response]:
    return running.client.stream("POST", MESSAGE, json={}, headers={"x-test": "stream"})


def is_cut(events: Iterator[bytes]) -> bool:
    """Whether the stream ends by a broken connection, not by its last chunk."""
    try:
        list(events)
    except httpx.RemoteProtocolError:
        return True
    return False
