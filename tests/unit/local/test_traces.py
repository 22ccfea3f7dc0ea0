"""The page of traces: what is sent to it is kept within bounds, and shown to whoever knows the key."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from asgi_lifespan import LifespanManager
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from local.traces.__main__ import MOST_SENT_BYTES, PROTOBUF, create_app
from local.traces.pages import in_order
from local.traces.spans import read
from local.traces.store import TraceStore
from tests.fixtures.patience import PATIENCE_SECONDS

KEY = "a-key-that-nobody-guesses"
SECOND = 10**9
TRACE = "0a" * 16


def message(number: int, parent: int = 0, *, name: str = "work", trace: str = TRACE, fails: bool = False) -> Message:
    """The span `number`, which begins in that second and lasts for one."""
    return Message(
        trace_id=bytes.fromhex(trace),
        span_id=number.to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        name=name,
        start_time_unix_nano=number * SECOND,
        end_time_unix_nano=(number + 1) * SECOND,
        status=Status(code=Status.STATUS_CODE_ERROR if fails else Status.STATUS_CODE_OK),
    )


def request_of(*spans: Message, service: str = "chat") -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    resource.scope_spans.add().spans.extend(spans)
    written: bytes = request.SerializeToString()
    return written


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with LifespanManager(
        create_app(tmp_path / "spans", KEY), startup_timeout=PATIENCE_SECONDS, shutdown_timeout=PATIENCE_SECONDS
    ) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://traces") as client:
            yield client


async def sent(page: httpx.AsyncClient, body: bytes, **headers: str) -> httpx.Response:
    return await page.post("/v1/traces", content=body, headers={"content-type": PROTOBUF} | headers)


async def test_a_trace_is_listed_and_shown_with_its_failure(page: httpx.AsyncClient) -> None:
    await sent(page, request_of(message(1, name="POST /message"), message(2, 1, name="ask <the> model", fails=True)))

    listed = await page.get(f"/{KEY}/")
    shown = await page.get(f"/{KEY}/traces/{TRACE}")

    assert f'<a href="traces/{TRACE}">chat: POST /message</a>' in listed.text
    assert "<td class=n>2000.0</td><td class=n>2</td>" in listed.text
    assert "<summary class=failed>chat: ask &lt;the&gt; model" in shown.text
    assert "left: 50.00%; width: 50.00%" in shown.text
    assert "<script" not in listed.text + shown.text
    assert shown.headers["content-security-policy"].startswith("default-src 'none'")


async def test_a_list_is_of_a_service_or_of_failures(page: httpx.AsyncClient) -> None:
    other = "0b" * 16
    await sent(page, request_of(message(1)))
    await sent(page, request_of(message(2, trace=other, fails=True), service="auth"))

    by_service = (await page.get(f"/{KEY}/", params={"service": "chat"})).text
    failed = (await page.get(f"/{KEY}/", params={"failed": "true"})).text

    assert (TRACE in by_service, other in by_service) == (True, False)
    assert (TRACE in failed, other in failed) == (False, True)


@pytest.mark.parametrize("path", ["/other/", f"/other/traces/{TRACE}", f"/{KEY}/traces/{'0c' * 16}", "/docs", "/"])
async def test_without_the_key_or_a_trace_there_is_nothing(page: httpx.AsyncClient, path: str) -> None:
    await sent(page, request_of(message(1)))

    assert (await page.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (gzip.compress(request_of(message(1))), {"content-encoding": "gzip"}, 200),
        (b"\xff\xff", {}, 400),
        (b"plain", {"content-encoding": "gzip"}, 400),
        (request_of(message(1)), {"content-encoding": "br"}, 415),
        (b"{}", {"content-type": "text/plain"}, 415),  # what a page of a browser may send unasked
        (bytes(MOST_SENT_BYTES + 1), {}, 413),
        (gzip.compress(bytes(17 * 2**20)), {"content-encoding": "gzip"}, 413),
    ],
)
async def test_only_otlp_is_taken_and_not_too_much(
    page: httpx.AsyncClient, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await sent(page, body, **headers)

    assert answer.status_code == status
    assert (TRACE in (await page.get(f"/{KEY}/")).text) == (status == 200)


def test_what_came_first_is_forgotten_first(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "spans", most_spans=3)

    for number in range(1, 6):
        store.put(read(request_of(message(number))))
        store.put(read(request_of(message(number))))  # told again, and no second one

    assert [span.started_ns // SECOND for span in store.spans(TRACE)] == [3, 4, 5]
    store.close()


def test_a_span_without_valid_ids_is_left_out() -> None:
    assert list(read(request_of(Message(trace_id=b"short", span_id=b"1")))) == []


def test_each_follows_the_one_it_belongs_to() -> None:
    spans = list(read(request_of(message(1), message(2, 9), message(3, 1), message(4, 3), message(5, 1))))

    order = [(int(span.span_id, 16), depth) for span, depth in in_order(spans)]

    assert order == [(1, 0), (3, 1), (4, 2), (5, 1), (2, 0)]


def test_spans_that_belong_to_each_other_in_a_circle_end() -> None:
    spans = list(read(request_of(message(1, 2), message(2, 1), message(3))))

    assert [int(span.span_id, 16) for span, _ in in_order(spans)] == [3]
