"""Spans: pieces of work within a trace that is recorded. Elsewhere they are one object that does nothing.

A span says what was done, where, for how long and how it ended. It never says with what: no statement, no value, no
name that somebody chose, no text for or of a model, and of an error its kind alone, since its message may quote any
of them.
"""

import asyncio
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Self

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.errors import ServiceError
from shared.telemetry.conventions import ERROR_TYPE

Value = str | int | float | bool | list[str]
Attributes = Mapping[str, Value]
propagator = TraceContextTextMapPropagator()


class Span:
    """A piece of work that nobody records."""

    __slots__ = ()
    is_recorded = False

    def set(self, name: str, value: Value) -> None:
        """Say one thing more of it."""

    def fail(self, kind: str) -> None:
        """It ended badly, in this way."""

    def end(self, error: BaseException | None = None) -> None:
        """It is over; for whoever did not enter it."""

    def inject(self, carrier: MutableMapping[str, str]) -> None:
        """Have what is sent with these headers go on within it."""
        propagator.inject(carrier)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


class RecordedSpan(Span):
    """One that is. Entered, it is what further spans belong to; begun without that, whoever began it ends it."""

    __slots__ = ("_context", "_span", "_token")
    is_recorded = True

    def __init__(self, span: trace.Span, within: context.Context | None) -> None:
        self._span = span
        self._context = trace.set_span_in_context(span, within)

    def set(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def fail(self, kind: str) -> None:
        self._span.set_attribute(ERROR_TYPE, kind)
        self._span.set_status(StatusCode.ERROR)

    def end(self, error: BaseException | None = None) -> None:
        if error is not None:
            self.fail(kind_of(error))
        self._span.end()

    def inject(self, carrier: MutableMapping[str, str]) -> None:
        propagator.inject(carrier, self._context)

    def __enter__(self) -> Self:
        self._token = context.attach(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        context.detach(self._token)
        self.end(error)


NOT_RECORDED = Span()


def kind_of(error: BaseException) -> str:
    """The code of ours, the class of any other; what was given up has no fault."""
    match error:
        case ServiceError():
            return error.code
        case asyncio.CancelledError() | GeneratorExit():
            return "given_up"
        case _:
            return type(error).__name__


def begun(
    tracer: trace.Tracer, name: str, kind: SpanKind, attributes: Attributes | None, within: context.Context | None
) -> Span:
    """A span of `within`, or of where we are; not recorded where the trace is not."""
    span = tracer.start_span(name, within, kind, attributes)
    return RecordedSpan(span, within) if span.is_recording() else NOT_RECORDED
