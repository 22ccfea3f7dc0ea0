"""`vectors.copy`: what is asked of the vectors service until a copy has ended, fails or is cancelled."""

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from services.tasks.kinds.vectors_copy import VECTORS_COPY
from shared.errors import Relayed, Unavailable
from tests.unit.tasks.fakes import RecordingContext, conflict

BEGIN, STEP = "POST /internal/copies", "POST /internal/copies/step"
DELETE = "DELETE /api/v1/vectors/collections/green"
GIVEN = {"source": "blue", "target": "green", "engine": "qdrant", "alias": "now"}


def copy(phase: str, copied: int, **fields: Any) -> dict[str, Any]:
    return {"phase": phase, "copied": copied, "pending": 0, "count": None, "recall": None, "total": 2, **fields}


def answering(*steps: Any, status: str = "filling") -> RecordingContext:
    """Steps are answered in turn; what is an exception is raised. `status` is that of the target."""
    left = list(steps)

    def answer(call: str, _body: Any) -> Any:
        if call == BEGIN:
            return copy("scanning", 0)
        if call == STEP:
            step = left.pop(0)
            if isinstance(step, BaseException):
                raise step
            return step
        return {"status": status}

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


async def test_what_fails_for_good_takes_the_target_away() -> None:
    context = answering(copy("scanning", 1), conflict("vectors.copy_text_missing"))

    with pytest.raises(Relayed):
        await VECTORS_COPY.execute(context, GIVEN)

    assert context.calls[-1] == (DELETE, None, {"If-Match": f'"{context.task_id}"'})


async def test_what_has_ended_is_not_taken_away() -> None:
    """Its answer was lost, and somebody has deleted the source since: then the target is all that there is."""
    context = answering(Relayed(404, "vectors.collection_not_found", "Not found", "gone"), status="ready")

    with pytest.raises(Relayed):
        await VECTORS_COPY.execute(context, GIVEN)

    assert DELETE not in called(context)


async def test_what_passes_leaves_it_for_the_next_attempt() -> None:
    context = answering(copy("scanning", 1), Unavailable("faiss"))

    with pytest.raises(Unavailable):
        await VECTORS_COPY.execute(context, GIVEN)

    assert DELETE not in called(context)


async def test_what_is_refused_at_first_takes_nothing_away() -> None:
    def taken(_call: str, _body: Any) -> Any:
        raise conflict("vectors.collection_exists")

    context = RecordingContext(taken)

    with pytest.raises(Relayed):
        await VECTORS_COPY.execute(context, GIVEN)

    assert called(context) == [BEGIN]


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_only_who_is_cancelled_takes_the_target_away(is_cancelled: bool) -> None:
    context = answering(asyncio.CancelledError())
    context.was_cancelled = is_cancelled

    with pytest.raises(asyncio.CancelledError):
        await VECTORS_COPY.execute(context, GIVEN)

    assert (DELETE in called(context)) is is_cancelled


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
