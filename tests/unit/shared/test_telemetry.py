"""Spans are recorded within a trace that is, say nothing of values, and cost nothing where nobody records."""

import importlib
import json
import logging
import pkgutil
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.semconv import schemas

from shared import telemetry
from shared.errors import Unavailable
from shared.postgres.tracing import described
from shared.telemetry import JsonFormatter, SpanKind, conventions
from shared.telemetry.export import Seldom
from shared.telemetry.tracing import record_with

SECRET = "hunter2"
PARENT = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
UNRECORDED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    found, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(found))
    record_with(provider)
    yield found
    record_with(None)


@pytest.fixture
def sampling_nothing() -> Iterator[None]:
    record_with(TracerProvider(sampler=ParentBased(TraceIdRatioBased(0))))
    yield
    record_with(None)


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    [span] = exporter.get_finished_spans()
    return span


def test_a_span_goes_on_with_what_its_caller_began(exporter: InMemorySpanExporter) -> None:
    carried: dict[str, str] = {}
    with telemetry.continued(PARENT, "GET"), telemetry.span("SELECT", SpanKind.CLIENT) as inner:
        inner.inject(carried)

    client, server = exporter.get_finished_spans()
    assert server.parent is not None
    assert client.parent is not None
    assert (server.kind, format(server.parent.span_id, "016x")) == (SpanKind.SERVER, "00f067aa0ba902b7")
    assert client.parent.span_id == server.context.span_id
    assert carried["traceparent"].split("-")[1:3] == [
        "4bf92f3577b34da6a3ce929d0e0e4736",
        format(client.context.span_id, "016x"),
    ]


def test_a_message_is_sent_in_the_trace_it_was_written_in(exporter: InMemorySpanExporter) -> None:
    with telemetry.continued({}, "relay"), telemetry.span_of(PARENT, "publish", SpanKind.PRODUCER):
        pass

    publish = exporter.get_finished_spans()[0]
    assert format(publish.context.trace_id, "032x") == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_what_a_loop_does_by_itself_is_in_no_trace(exporter: InMemorySpanExporter) -> None:
    with telemetry.span("SELECT", SpanKind.CLIENT) as span:
        assert not span.is_recorded

    assert exporter.get_finished_spans() == ()


def test_nor_is_what_it_asks_of_others(exporter: InMemorySpanExporter) -> None:
    carried: dict[str, str] = {}
    with telemetry.unrecorded():
        telemetry.inject(carried)
    with telemetry.continued(carried, "GET"):
        pass

    assert carried["traceparent"].endswith("-00")
    assert exporter.get_finished_spans() == ()


def test_an_error_is_told_by_its_kind_alone(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match=SECRET), telemetry.continued({}, "GET"):
        raise ValueError(SECRET)

    span = only(exporter)
    assert (dict(span.attributes or {}), span.events, span.status.is_ok) == ({"error.type": "ValueError"}, (), False)
    assert SECRET not in span.to_json()


def test_an_error_of_ours_is_told_by_its_code(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(Unavailable), telemetry.continued({}, "GET"):
        raise Unavailable("redis")

    assert dict(only(exporter).attributes or {}) == {"error.type": Unavailable.code}


def test_a_span_that_is_begun_is_no_surroundings(exporter: InMemorySpanExporter) -> None:
    """A generator begins one: what its caller does between two pieces is none of it."""
    with telemetry.continued({}, "GET"):
        outer = telemetry.current_span_id()
        begun = telemetry.span("chat", SpanKind.CLIENT)
        assert telemetry.current_span_id() == outer
        begun.end()

    assert [span.name for span in exporter.get_finished_spans()] == ["chat", "GET"]


@pytest.mark.usefixtures("sampling_nothing")
@pytest.mark.parametrize("carrier", [{}, UNRECORDED])
def test_what_is_not_sampled_keeps_its_ids_and_records_nothing(carrier: dict[str, str]) -> None:
    carried: dict[str, str] = {}
    with telemetry.continued(carrier, "GET") as server, telemetry.span("SELECT", SpanKind.CLIENT) as client:
        telemetry.inject(carried)
        assert telemetry.current_trace_id() != "0" * 32
        assert (server.is_recorded, client.is_recorded) == (False, False)
    assert carried["traceparent"].endswith("-00") or not int(carried["traceparent"][-2:], 16) & 1


def test_without_a_collector_there_is_one_span_that_does_nothing() -> None:
    with telemetry.continued({}, "GET") as server, telemetry.span("SELECT", SpanKind.CLIENT) as client:
        assert server is client is telemetry.span("GET", SpanKind.CLIENT)
        assert not telemetry.is_recording()


def test_a_log_line_has_the_ids_of_its_span(exporter: InMemorySpanExporter) -> None:
    record = logging.LogRecord("shared", logging.INFO, "", 0, "done", None, None)
    with telemetry.continued(PARENT, "GET"):
        line = json.loads(JsonFormatter("agents").format(record))

    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert line["span_id"] == format(only(exporter).context.span_id, "016x")


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        ("SELECT task.id FROM task WHERE task.id = $1::TEXT", "SELECT task"),
        ("INSERT INTO audit_entry (at, action) VALUES ($1, $2)", "INSERT audit_entry"),
        ("UPDATE task SET status=$1 WHERE id = $2", "UPDATE task"),
        ("DELETE FROM outbox WHERE id IN ($1)", "DELETE outbox"),
        ("WITH due AS (SELECT id FROM task) UPDATE task SET x = 1", "SELECT task"),
        ("SELECT x FROM unnest($1::TEXT[]) AS x", "SELECT"),
        (f"SELECT '{SECRET}'", "SELECT"),
        ("SHOW server_version", "OTHER"),
    ],
)
def test_a_statement_is_told_by_what_it_does_to_what(statement: str, summary: str) -> None:
    assert described(statement)[1] == summary


def test_the_names_are_those_of_the_installed_conventions() -> None:
    names = {value for name, value in vars(conventions).items() if name.isupper()} - {conventions.SCHEMA_URL}
    known: set[object] = set()
    for package in ("opentelemetry.semconv.attributes", "opentelemetry.semconv._incubating.attributes"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            known |= {v for v in vars(importlib.import_module(f"{package}.{module.name}")).values() if str(v) == v}

    assert {name for name in names if not name.startswith("sutazai.")} <= known
    assert list(schemas.Schemas)[-1].value == conventions.SCHEMA_URL


def test_of_a_collector_that_is_away_one_line_a_minute_is_told() -> None:
    times = iter((1.0, 1.0, 2.0, 60.0, 62.0, 62.0))
    seldom = Seldom(lambda: next(times))
    failed = logging.LogRecord("opentelemetry.exporter", logging.ERROR, "", 0, "cannot send", None, None)
    ours = logging.LogRecord("shared.access", logging.INFO, "", 0, "request", None, None)

    told = [(seldom.filter(failed), seldom.filter(ours)) for _ in range(4)]

    assert told == [(True, True), (False, True), (False, True), (True, True)]
