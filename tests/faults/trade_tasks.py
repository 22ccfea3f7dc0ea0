"""Tasks: submitted, followed, finished."""

import asyncio
import itertools
import time

from tests.faults.ledger import Findings
from tests.faults.trades import API, Trade, pages

ENGINES = ("qdrant", "chroma", "faiss")
FINAL = frozenset({"succeeded", "failed", "cancelled", "expired"})
_ALL_DONE_SECONDS = 90.0
_INGESTED_EVERY = 6


class Tasks(Trade):
    """Every submitted task ends with `succeeded`, once."""

    async def prepare(self) -> None:
        self._submitted: dict[str, str] = {}
        self._engines = itertools.cycle(ENGINES)

    async def turn(self) -> None:
        mark = self.next_mark()
        body = {"kind": "echo", "input": {"mark": mark}}
        if len(self._submitted) % _INGESTED_EVERY == _INGESTED_EVERY - 1:
            documents = [{"id": "one", "text": f"What is {mark}?", "metadata": {"mark": mark}}]
            collection = {"collection": mark, "engine": next(self._engines)}
            body = {"kind": "vectors.ingest", "input": {**collection, "documents": documents}}
        task = (await self.caller.create(f"{API}/tasks/submit", 202, json=body)).json()
        self._submitted[task["id"]] = mark
        read = (await self.caller.ask("GET", f"{API}/tasks/status/{task['id']}", 200)).json()
        self.caller.wrong_unless(read["input"] == body["input"], f"task {task['id']}: {read}")

    async def read_back(self) -> Findings:
        findings, statuses = Findings(), await self._ended()
        findings.once("task", self._submitted, statuses)
        for task_id, mark in self._submitted.items():
            status = statuses.get(task_id)
            findings.kept(f"task {task_id} {mark}, which is {status}", holds=status == "succeeded")
        return findings

    async def _ended(self) -> dict[str, str]:
        """The state of every task of the user, once all are final or have had their time."""
        give_up_at = time.monotonic() + _ALL_DONE_SECONDS
        while True:
            statuses = {task["id"]: task["status"] async for task in pages(self.caller, f"{API}/tasks/list")}
            if set(statuses.values()) <= FINAL or time.monotonic() > give_up_at:
                return statuses
            await asyncio.sleep(0.25)
