"""Kinds of an installation's own whose effect can be counted, whatever is killed: it lies in files of a folder.

Each attempt that runs leaves a line. The effect itself is one by the task's id: a second attempt finds it there.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from services.tasks.kinds.kind import Context, Kind
from shared.schemas import RequestModel

VARIABLE: Final = "EFFECTS_DIR"
_LOOK_SECONDS: Final = 0.02


class EffectInput(RequestModel):
    """How long it works, and whether it then waits until all are let go."""

    seconds: float = Field(default=0, ge=0)
    waits: bool = False


async def _have_effect(context: Context, given: EffectInput) -> dict[str, Any]:
    effects = Effects(Path(os.environ[VARIABLE]))
    await asyncio.to_thread(effects.note_run, context)
    await asyncio.sleep(given.seconds)
    while given.waits and not effects.is_let_go:  # noqa: ASYNC110 - it is another process that does
        await asyncio.sleep(_LOOK_SECONDS)
    await asyncio.to_thread(effects.have, context)
    return {"attempt": context.attempt, "pid": os.getpid()}


@dataclass(frozen=True, slots=True)
class Run:
    """An attempt whose handler began."""

    task_id: str
    attempt: int
    pid: int


@dataclass(frozen=True)
class Effects:
    """What lies in the folder."""

    folder: Path

    def note_run(self, context: Context) -> None:
        """Whole or not at all: one write to the end of the file."""
        line = f"{context.task_id} {context.attempt} {os.getpid()}\n".encode()
        descriptor = os.open(self.folder / "runs", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def have(self, context: Context) -> None:
        """The effect of the task, unless it is there."""
        (self.folder / f"{context.task_id}.effect").touch()

    @property
    def is_let_go(self) -> bool:
        return (self.folder / "let-go").exists()

    def let_go(self) -> None:
        """Those that wait go on."""
        (self.folder / "let-go").touch()

    def runs(self) -> list[Run]:
        """In the order in which they began."""
        file = self.folder / "runs"
        lines = file.read_text().splitlines() if file.exists() else []
        return [Run(task_id, int(attempt), int(pid)) for task_id, attempt, pid in map(str.split, lines)]

    def tasks(self) -> set[str]:
        """Those that had their effect."""
        return {file.stem for file in self.folder.glob("*.effect")}


KINDS: Final = [
    Kind(
        name="drill.effect",
        description="Has an effect that can be counted.",
        input_model=EffectInput,
        run=_have_effect,
        max_attempts=20,
        timeout_seconds=120,
    )
]
