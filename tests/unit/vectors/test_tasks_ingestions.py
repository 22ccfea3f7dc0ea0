"""Files that are attached together are handed over in calls that tasks read, whatever is said of each."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.vectors.adapters.tasks_ingestions import TasksIngestions
from services.vectors.stores.attachment_schemas import BatchCreate
from services.vectors.stores.domain import MAX_BATCH_FILES, Attachment, Chunking
from shared.calls import ServiceClient
from shared.errors import Unavailable
from shared.identity import Caller
from shared.schemas import new_id

CALLER = Caller("ada", "tenant", frozenset({"tasks:write"}), "", 0, 0, "")
READ_BYTES = 8 * 2**20  # by tasks


@dataclass
class Tasks(ServiceClient):
    """Takes what it is brought, `times` times."""

    times: int = 100
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def call(self, *_: Any, **asked: Any) -> httpx.Response:
        request = httpx.Request("POST", "http://tasks", json=asked["json"])
        assert len(request.content) <= READ_BYTES, "refused as too large"
        if len(self.bodies) == self.times:
            raise Unavailable("tasks")
        self.bodies.append(asked["json"])
        self.keys.append(asked["headers"]["Idempotency-Key"])
        results = [{"status": 202, "task": {"id": f"of {_version(task)}"}} for task in asked["json"]["tasks"]]
        return httpx.Response(200, json={"results": results})


def _version(task: dict[str, Any]) -> str:
    return str(task["input"]["attached_as"])


def attached(number: int, *, with_much: bool) -> list[Attachment]:
    attributes = {f"{n:064}": "\N{ROCKET}" * 512 for n in range(16)} if with_much else {}
    asked = {"file_ids": [new_id() for _ in range(number)], "attributes": attributes}
    return [
        Attachment(one.file_id, "guide.md", 10, one.attributes, Chunking(), new_id(), datetime.now(UTC))
        for one in BatchCreate.model_validate(asked).wanted
    ]


@pytest.mark.parametrize("with_much", [True, False], ids=["much", "little"])
async def test_all_files_of_a_batch_are_handed_over_whatever_is_said_of_them(with_much: bool) -> None:
    tasks, files = Tasks(), attached(MAX_BATCH_FILES, with_much=with_much)

    outcomes = await TasksIngestions(tasks, 10.0).submit(CALLER, "shop", files, "key")

    assert [(one.version, one.task_id) for one in outcomes] == [(one.version, f"of {one.version}") for one in files]
    assert tasks.keys[0] == "key"
    assert len(set(tasks.keys)) == len(tasks.bodies) == (5 if with_much else 1)


async def test_those_that_were_taken_are_known_though_tasks_go_away_behind_them() -> None:
    tasks, files = Tasks(times=1), attached(MAX_BATCH_FILES, with_much=True)

    outcomes = await TasksIngestions(tasks, 10.0).submit(CALLER, "shop", files, "key")

    assert [one.version for one in outcomes] == [_version(task) for task in tasks.bodies[0]["tasks"]]
    assert 0 < len(outcomes) < len(files)


async def test_where_none_was_taken_it_is_told_why() -> None:
    with pytest.raises(Unavailable):
        await TasksIngestions(Tasks(times=0), 10.0).submit(CALLER, "shop", attached(1, with_much=False), "key")
