"""Writes docs/errors.md from the error classes themselves: `make docs`. A test compares."""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from types import ModuleType

import services
import shared
from gateway.portal.catalogue import NO_STATUS, ErrorEntry
from services.tasks.documents.failures import FAILURES as OF_DOCUMENTS
from services.tasks.dumps.failures import FAILURES as OF_DUMPS
from services.topology import SERVICES
from shared.errors import Relayed, ServiceError

HEAD = """# Errors

Every error is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `code`, `instance`,
`trace_id`, and on 422 (for forms on 400) `errors`, one entry a refused field with its `pointer`, `code` and `detail`.
`type` leads to the code's row on this page. Branch on `code`: it is stable; `detail` is written for people and may
change. Quote `trace_id` to an operator: it finds the logs.

Operations in OpenAI's shapes say the same as its clients read it, with 400 for 422 ([how](openai.md#errors)).

Answers with 429, 503 and 507 carry `Retry-After` in seconds. Those, 502 and 504 may be tried again, and so may a
creating request that was sent with an `Idempotency-Key`; every other error answers the same to the same request.

Written by `make docs` from the code.
"""
# What the gateway answers by itself: no class stands for it.
OF_THE_GATEWAY = (
    ErrorEntry("common.request_timeout", 408, "The request did not arrive in time."),
    ErrorEntry("common.uri_too_long", 414, "Path and query of the request are longer than the gateway takes."),
    ErrorEntry("common.headers_too_large", 431, "The request's headers are larger than the gateway takes."),
    ErrorEntry("common.not_implemented", 501, "The request uses something of HTTP that the gateway does not know."),
    ErrorEntry("common.http_version_not_supported", 505, "The request is neither HTTP/1.1 nor HTTP/1.0."),
)
# What a task fails with where no class stands for it; with the codes of the services that its kind asked.
OF_TASKS = (
    ErrorEntry("tasks.authority_ended", None, "What the task was submitted with has ended, or allows it no longer."),
    ErrorEntry(
        "tasks.chunks_too_large", None, "`chunk_tokens` is more than the model of the embeddings reads at once."
    ),
    ErrorEntry("tasks.engine_mismatch", None, "The collection exists, in another engine than the one asked for."),
    ErrorEntry("tasks.file_not_ready", None, "The file is not uploaded whole yet."),
    ErrorEntry("tasks.file_too_large", None, "The file is larger than a task reads."),
    ErrorEntry("tasks.result_too_large", None, "The result is larger as JSON than a task may have."),
)
TASKS_HEAD = """## Tasks that failed

`error.code` of a task, which is no answer to a request and so has no status. Trying again says the same.

| code | status | meaning |
|---|---|---|
"""
# Run at import, by design: programs, and what only Alembic may import.
NOT_IMPORTABLE = re.compile(r"\.__main__$|\.migrations(\.|$)")


def page() -> str:
    """The whole page."""
    entries = {error.code: ErrorEntry(error.code, error.status, error.meaning) for error in our_errors()}
    entries |= {entry.code: entry for entry in OF_THE_GATEWAY}
    parts = [HEAD]
    for part, title in {"common": "Any operation", **{name: name for name in SERVICES}}.items():
        rows = [entry for entry in entries.values() if entry.code.partition(".")[0] == part]
        parts.append(section(title, sorted(rows, key=lambda entry: (entry.status or 0, entry.code))))
    failures = [*OF_TASKS, *(ErrorEntry(one.code, None, one.meaning) for one in {**OF_DOCUMENTS, **OF_DUMPS}.values())]
    rows = sorted(failures, key=lambda entry: entry.code)
    return "\n".join([*parts, TASKS_HEAD + "".join(map(row, rows))])


def row(entry: ErrorEntry) -> str:
    return f"| `{entry.code}` | {entry.status or NO_STATUS} | {entry.meaning} |\n"


def section(title: str, entries: list[ErrorEntry]) -> str:
    rows = "".join(map(row, entries))
    return f"## {title}\n\n| code | status | meaning |\n|---|---|---|\n{rows}"


def our_errors() -> set[type[ServiceError]]:
    """Every class whose code a caller can see."""
    for package in (shared, services):
        for name in _modules(package):
            importlib.import_module(name)
    found, waiting = set[type[ServiceError]](), [ServiceError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.__module__.startswith(("shared.", "services.")):
            found.add(error)
    return found - {Relayed}  # it has no code of its own


def _modules(package: ModuleType) -> Iterator[str]:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not NOT_IMPORTABLE.search(module.name):
            yield module.name


if __name__ == "__main__":
    sys.stdout.write(page())
