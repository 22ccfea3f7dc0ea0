"""Spans as OTLP carries them, and as they are kept."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

MOST_ATTRIBUTES: Final = 64
LONGEST_TEXT: Final = 512
_KINDS: Final = {number: name.removeprefix("SPAN_KIND_").lower() for name, number in Message.SpanKind.items()}
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_LATEST_NS = 2**63 - 1
"""What SQLite holds; a sender whose clock says more is mistaken."""


class NoTraces(ValueError):
    """What was sent is no OTLP request of traces."""


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work; ids in hexadecimal, times in nanoseconds since 1970, `attributes` a JSON object."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    kind: str
    started_ns: int
    ended_ns: int
    has_failed: bool
    attributes: str


def read(body: bytes) -> Iterator[Span]:
    """The spans of an OTLP request in protobuf, but for those without valid ids. Raises NoTraces."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise NoTraces("no ExportTraceServiceRequest") from error
    for resource in request.resource_spans:
        named = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                if (len(span.trace_id), len(span.span_id)) == (_TRACE_ID_BYTES, _SPAN_ID_BYTES):
                    yield _kept(span, named[0] if named else "unknown")


def _kept(span: Message, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        service=service[:LONGEST_TEXT],
        name=span.name[:LONGEST_TEXT],
        kind=_KINDS.get(span.kind, "unspecified"),
        started_ns=min(span.start_time_unix_nano, _LATEST_NS),
        ended_ns=min(max(span.end_time_unix_nano, span.start_time_unix_nano), _LATEST_NS),
        has_failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=json.dumps(dict(_attribute(one) for one in span.attributes[:MOST_ATTRIBUTES])),
    )


def _attribute(one: KeyValue) -> tuple[str, str]:
    return one.key[:LONGEST_TEXT], _text(one.value)[:LONGEST_TEXT]


def _text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return ", ".join(_text(one) for one in value.array_value.values[:MOST_ATTRIBUTES])
    return str(getattr(value, kind)) if kind else ""
