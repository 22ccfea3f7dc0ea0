"""A context without a worker around it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.tasks.domain import LogLevel, Ticket
from services.tasks.filters import TaskFilter
from shared.calls import ServiceClient
from shared.errors import Relayed

Answer = Callable[[str, Any], Any]
TICKET = Ticket("task", "tenant", "user")


@dataclass
class RecordingContext:
    """Answers calls from `answer(path, body)`, which may raise; remembers calls and progress."""

    answer: Answer
    services: ServiceClient = field(default=None)  # type: ignore[assignment] # kinds under test use `call`
    task_id: str = "01890a5d-ac96-774b-bcce-b302099a8057"
    attempt: int = 1
    done_before: int = 0
    cancelled: bool = False
    remaining_seconds: float = 60
    ticket: Ticket = TICKET
    calls: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)
    logged: list[tuple[LogLevel, str]] = field(default_factory=list)
    failed: dict[str, Exception | None] = field(default_factory=dict)
    """Ids of failed tasks, and what is in the way of their replay."""
    reports: list[tuple[int, int | None]] = field(default_factory=list)

    ended: set[str] = field(default_factory=set)
    """Ids of tasks that are over."""
    held: list[str] = field(default_factory=list)
    """What it had to itself."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By their path, for `download`."""
    uploaded: list[tuple[str, str, bytes]] = field(default_factory=list)
    """The name, the type and the bytes of each."""

    def progress(self, done: int, total: int | None = None, message: str | None = None) -> None:
        self.reports.append((done, total))

    def log(self, message: str, *, level: LogLevel = LogLevel.INFO) -> None:
        self.logged.append((level, message))

    async def failed_tasks(self, wanted: TaskFilter, *, after: str | None, limit: int) -> list[str]:
        return [one for one in self.failed if after is None or one > after][:limit]

    async def replay(self, task_id: str) -> str:
        if error := self.failed[task_id]:
            raise error
        return task_id

    async def token(self) -> str:
        return "token"

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: dict[str, str] | None = None,
        timeout_seconds: float | None = None,
        idempotent: bool | None = None,
    ) -> httpx.Response:
        self.calls.append((f"{method} {path}", json, headers or {}))
        answer = self.answer(f"{method} {path}", json)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    @asynccontextmanager
    async def holding(self, names: Sequence[str]) -> AsyncIterator[None]:
        self.held += names
        yield

    async def has_ended(self, task_id: str) -> bool:
        return task_id in self.ended

    async def download(self, path: str, to: Path, *, most_bytes: int) -> int:
        assert len(self.files[path]) <= most_bytes
        return await asyncio.to_thread(to.write_bytes, self.files[path])

    async def upload(self, path: str, name: str, source: Path, media_type: str) -> dict[str, Any]:
        content = await asyncio.to_thread(source.read_bytes)
        self.uploaded.append((name, media_type, content))
        return {"id": "made", "bytes": len(content)}

    def bodies(self, call: str) -> list[Any]:
        return [body for called, body, _ in self.calls if called == call]


def conflict(code: str) -> Relayed:
    return Relayed(409, code, "Conflict", "in the way")
