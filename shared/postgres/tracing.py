"""A span for each statement of a trace that is recorded: what it does to which table, and nothing of its values."""

import functools
import re
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from shared import telemetry
from shared.telemetry import SpanKind, conventions

_SPAN = "span"
_MAIN = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
# After FROM a word before a bracket is a function.
_TABLE = re.compile(r"\b(?:FROM\s+(?:ONLY\s+)?(\w+)\b(?!\s*\()|(?:INTO|UPDATE)\s+(?:ONLY\s+)?(\w+))", re.IGNORECASE)
_OTHER = "OTHER"


def trace_statements(engine: AsyncEngine) -> None:
    """Have them recorded; to be called where this process records at all."""
    attributes: dict[str, telemetry.Value] = {
        conventions.DB_SYSTEM: "postgresql",
        conventions.DB_NAMESPACE: engine.url.database or "",
        conventions.SERVER_ADDRESS: engine.url.host or "",
        conventions.SERVER_PORT: engine.url.port or 5432,
    }

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def begin(connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool) -> None:
        operation, summary = described(statement)
        span = telemetry.span(summary, SpanKind.CLIENT, attributes)
        if span.is_recorded:
            span.set(conventions.DB_OPERATION, operation)
            span.set(conventions.DB_SUMMARY, summary)
            if executemany:
                span.set(conventions.DB_BATCH_SIZE, len(parameters))
            connection.info[_SPAN] = span

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def end(connection: Any, *_: Any) -> None:
        if span := connection.info.pop(_SPAN, None):
            span.end()

    @event.listens_for(engine.sync_engine, "handle_error")
    def fail(failure: Any) -> None:
        if failure.connection is not None and (span := failure.connection.info.pop(_SPAN, None)):
            span.end(failure.original_exception)


@functools.lru_cache(maxsize=1024)
def described(statement: str) -> tuple[str, str]:
    """Its operation, and that with the first table that it names: few words, the same for each time it is made."""
    main = _MAIN.search(statement)
    operation = main[1].upper() if main else _OTHER
    table = _TABLE.search(statement, main.start()) if main else None
    return operation, f"{operation} {table[1] or table[2]}" if table else operation
