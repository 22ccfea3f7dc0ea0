"""The kind of task that rows measure: it does nothing, and says when it began."""

import time
from typing import Any

from pydantic import RootModel

from services.tasks.kinds.kind import Context, Kind


class NoteInput(RootModel[dict[str, str]]):
    """Whatever is carried there."""


async def _note(_context: Context, _given: NoteInput) -> dict[str, Any]:
    return {"started": time.time()}


KINDS = [Kind("bench.note", "Says when it began.", NoteInput, _note)]
