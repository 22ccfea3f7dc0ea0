"""`vectors.copy`: what is asked of the vectors service until a copy has ended, fails or is cancelled."""

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from services.tasks.kinds.vectors_copy import VECTORS_COPY
from shared.errors import Relayed, Unavailable
from tests.unit.tasks.fakes import RecordingContext, conflict

BEGIN, STEP = "POST /internal/copies", "POST /internal/copies/step"
TASK = RecordingContext.task_id
DELETE = "DELETE /api/v1/vectors/collections/green"
GIVEN = {"source": "blue", "target": "green", "engine": "qdrant", "alias": "now"}


def copy(phase: str, copied: int, **fields: Any) -> dict[str, Any]:
    return {"phase": phase, "copied": copied, "pending": 0, "count": None, "recall": None, "total": 2, **fields}


def answering(*steps: Any, status: str = "filling", tag: str | None = None) -> RecordingContext:
    """Steps are answered in turn; what is an exception is raised. `status` and `tag` are those of the target."""
    left = list(steps)

    def answer(call: str, _body: Any) -> Any:
        if call == BEGIN:
            return copy("scanning", 0)
        if call == STEP:
            step = left.pop(0)
            if isinstance(step, BaseException):
                raise step
            return step
        return httpx.Response(200, json={"status": status}, headers={"ETag": f'"{tag or TASK}:shown"'})

    return RecordingContext(answer, remaining_seconds=600)


def called(context: RecordingContext) -> list[str]:
    return [call for call, _, _ in context.calls]


async def test_it_goes_on_step_by_step_until_the_copy_has_ended() -> None:
    context = answering(copy("scanning", 1), copy("following", 2), copy("ended", 2, count=2, recall=1.0))

    result = await VECTORS_COPY.execute(context, GIVEN | {"verify": {"recall": 0.9}})

    assert result == {"source": "blue", "target": "green", "alias": "now", "count": 2, "recall": 1.0}
    assert context.bodies(BEGIN) == [{"id": context.task_id, **GIVEN}]
    assert context.bodies(STEP) == [{"id": context.task_id, "target": "green", "recall": 0.9, "samples": 20}] * 3
    assert context.reports == [(1, 2), (2, 2), (2, 2)]


async def test_what_was_ended_by_an_attempt_before_is_not_done_again() -> None:
    context = RecordingContext(lambda _call, _body: copy("ended", 2, count=2, recall=1.0))

    assert (await VECTORS_COPY.execute(context, GIVEN))["count"] == 2
    assert called(context) == [BEGIN]


@pytest.mark.parametrize("code", ["vectors.copy_busy", "vectors.embeddings_busy"])
async def test_who_is_busy_is_asked_again(code: str) -> None:
    busy = Relayed(503, code, "Busy", "later", headers={"Retry-After": "0"})
    context = answering(busy, busy, copy("ended", 2, count=2, recall=1.0))

    assert (await VECTORS_COPY.execute(context, GIVEN))["count"] == 2


async def test_what_ended_in_vain_takes_the_target_away() -> None:
    context = answering()

    await VECTORS_COPY.take_away(context, GIVEN)

    assert context.calls[-1] == (DELETE, None, {"If-Match": f'"{context.task_id}:shown"'})


@pytest.mark.parametrize(
    "target",
    [{"status": "ready"}, {"tag": "01890a5d-0000-7000-8000-000000000000"}],
    ids=["ended", "anothers"],
)
async def test_what_is_in_use_or_anothers_is_not_taken_away(target: dict[str, str]) -> None:
    """It ended and its answer was lost, and somebody has deleted the source since: then it is all that there is."""
    context = answering(**target)

    await VECTORS_COPY.take_away(context, GIVEN)

    assert DELETE not in called(context)


async def test_what_is_gone_already_is_no_failure() -> None:
    def gone(_call: str, _body: Any) -> Any:
        raise Relayed(404, "vectors.collection_not_found", "Not found", "gone")

    await VECTORS_COPY.take_away(RecordingContext(gone), GIVEN)


@pytest.mark.parametrize(
    "error",
    [conflict("vectors.copy_text_missing"), Unavailable("faiss"), asyncio.CancelledError()],
    ids=["for-good", "passing", "cancelled"],
)
async def test_an_attempt_takes_nothing_away(error: BaseException) -> None:
    """Another may follow: that none does is known when the end of the task is recorded."""
    context = answering(copy("scanning", 1), error)

    with pytest.raises(type(error)):
        await VECTORS_COPY.execute(context, GIVEN)

    assert DELETE not in called(context)


OTHER = "01890a5d-0000-7000-8000-000000000000"


def blocked(code: str, *, is_cleared: bool) -> RecordingContext:
    """A copy that `OTHER` is in the way of, until it is taken away."""
    deleted = list[str]()

    def answer(call: str, _body: Any) -> Any:
        if call == BEGIN:
            if not deleted:
                raise conflict(code)
            return copy("ended", 2, count=2, recall=1.0)
        if call.startswith("GET /api/v1/vectors/collections?"):
            items = [{"name": "blue", "status": "ready"}, {"name": "left", "status": "filling"}]
            return {"items": items, "next_cursor": None}
        if call.startswith("DELETE"):
            deleted.append(call)
            return {}
        return httpx.Response(200, json={"status": "filling"}, headers={"ETag": f'"{OTHER}"'})

    return RecordingContext(answer, ended={OTHER} if is_cleared else set())


@pytest.mark.parametrize("code", ["vectors.collection_exists", "vectors.copy_under_way"])
async def test_what_an_ended_task_left_is_not_in_the_way(code: str) -> None:
    context = blocked(code, is_cleared=True)

    assert (await VECTORS_COPY.execute(context, GIVEN))["count"] == 2
    assert context.calls[-2] == ("DELETE /api/v1/vectors/collections/left", None, {"If-Match": f'"{OTHER}"'})


async def test_what_a_task_still_fills_is_left_to_it() -> None:
    context = blocked("vectors.copy_under_way", is_cleared=False)

    with pytest.raises(Relayed, match="in the way"):
        await VECTORS_COPY.execute(context, GIVEN)

    assert [call for call in called(context) if call.startswith("DELETE")] == []


async def test_shortly_before_its_end_an_attempt_leaves_the_rest_to_the_next() -> None:
    context = answering(copy("scanning", 1), copy("scanning", 2))
    context.remaining_seconds = 30

    with pytest.raises(Unavailable):
        await VECTORS_COPY.execute(context, GIVEN)

    assert context.reports == [(1, 2)]


@pytest.mark.parametrize(
    "given",
    [{"target": "blue"}, {"alias": "green"}, {"engine": "pinecone"}, {"dimension": 3}, {"verify": {"recall": 2}}],
)
def test_what_cannot_be_is_refused_at_once(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VECTORS_COPY.input_model.model_validate(GIVEN | given)
