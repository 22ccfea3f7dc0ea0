"""A task's answer is put together from JSON at hand; it must read as its documented model would have written it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest

from services.tasks.models import Task
from services.tasks.schemas import TaskRead

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
DUE = datetime(2026, 1, 31, 9, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
NOW = datetime(2026, 1, 31, 7, tzinfo=UTC)
INPUT = {
    "text": 'a "quoted" ü\u0000\u2028\n',
    "numbers": [1, -2.5, 1e-9, 2**63 - 1],
    "nested": {"none": None, "empty": {}},
}


def task(**changed: Any) -> Task:
    queued: dict[str, Any] = {
        "id": ID,
        "user_id": ID,
        "kind": "echo",
        "status": "queued",
        "priority": "high",
        "input": orjson.dumps(INPUT).decode(),
        "dead_letter": False,
        "progress_done": 0,
        "attempt": 0,
        "max_attempts": 3,
        "timeout_seconds": 30,
        "waiting_for": 0,
        "waits_for_key": False,
        "run_at": DUE,
        "created_at": NOW,
    }
    return Task(**queued | changed)


SUCCEEDED = task(
    status="succeeded",
    attempt=2,
    result=orjson.dumps(["ü", {"n": 1.5}]).decode(),
    progress_done=2,
    progress_total=2,
    progress_message="wöken",
    started_at=NOW,
    finished_at=DUE,
)
CANCELLED = task(
    status="cancelled", error_code="tasks.cancelled", error_detail="The task was cancelled.", cancel_requested_at=NOW
)


@pytest.mark.parametrize("one", [task(), SUCCEEDED, task(result="null"), CANCELLED, task(error_code="x.y")])
def test_the_answer_is_what_its_model_would_write(one: Task) -> None:
    answer = TaskRead.json_of(one)

    assert TaskRead.model_validate_json(answer).model_dump_json().encode() == answer


def test_the_answer_shows_the_row() -> None:
    answer = orjson.loads(TaskRead.json_of(SUCCEEDED))

    assert list(answer) == list(TaskRead.model_fields)
    assert (answer["input"], answer["result"]) == (INPUT, ["ü", {"n": 1.5}])
    assert answer["progress"] == {"done": 2, "total": 2, "message": "wöken"}
    assert (answer["run_at"], answer["created_at"]) == ("2026-01-31T07:00:00.123Z", "2026-01-31T07:00:00.000Z")
    assert (answer["attempt"], answer["timeout_seconds"], answer["cancel_requested"]) == (2, 30.0, False)


def test_a_task_that_failed_says_why() -> None:
    answer = orjson.loads(TaskRead.json_of(CANCELLED))

    assert answer["error"] == {"code": "tasks.cancelled", "detail": "The task was cancelled."}
    assert (answer["cancel_requested"], answer["result"]) == (True, None)
