"""`vectors.copy`: a collection is copied to another engine, or embedded anew, while it is read and written to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from services.tasks.errors import retry_after
from services.tasks.kinds.collections import CollectionName, EngineName
from services.tasks.kinds.kind import Context, Kind
from services.tasks.kinds.listing import listed
from shared.errors import ServiceError, Unavailable
from shared.resources import version_in
from shared.schemas import LargeModel, Text

_BEGIN, _STEP = "/internal/copies", "/internal/copies/step"
_COLLECTIONS, _FILLING = "/api/v1/vectors/collections", "filling"
_STEP_SECONDS = 55.0  # a step ends itself before
_LAST_SECONDS = 60.0  # of an attempt: a step that it would be too short for is left to the next attempt
_ENDED, _BUSY_CODES = "ended", frozenset({"vectors.copy_busy", "vectors.embeddings_busy"})
_IN_THE_WAY = frozenset({"vectors.collection_exists", "vectors.copy_under_way", "vectors.quota_exceeded"})
_GONE = frozenset({404, 409, 412})  # or somebody else's by now, or an alias leads to it


class Verify(LargeModel):
    """What the copy has to reach before anything is switched."""

    recall: float = Field(
        default=0.95, ge=0, le=1, description="share of the ten nearest records that searches of the copy find at least"
    )
    samples: int = Field(default=20, ge=0, le=100, description="records for which that is looked at; 0 for none")


class CopyInput(LargeModel):
    """What to copy, and where to."""

    source: CollectionName
    target: Annotated[CollectionName, Field(description="the new collection; there is none of this name")]
    engine: EngineName | None = Field(default=None, description="that of the source when absent", examples=["qdrant"])
    model: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="the embedding model by which vectors are made anew, of texts; vectors are copied when absent",
    )
    metric: Literal["cosine", "dot", "l2"] | None = Field(
        default=None, description="that of the source when absent; another one takes a `model`"
    )
    alias: CollectionName | None = Field(
        default=None, description="points to the source, and to the target as soon as that has everything"
    )
    verify: Verify = Field(default_factory=Verify)

    @model_validator(mode="after")
    def _names_differ(self) -> "CopyInput":
        if len({self.source, self.target, self.alias}) < 3:
            raise ValueError("source, target and alias must differ")
        return self

    def begins(self, task_id: str) -> dict[str, Any]:
        return {"id": task_id, **self.model_dump(exclude_none=True, exclude={"verify"})}

    def step(self, task_id: str) -> dict[str, Any]:
        return {"id": task_id, "target": self.target, **self.verify.model_dump()}


async def _copy(context: Context, given: CopyInput) -> dict[str, Any]:
    """Step by step; another attempt goes on where this one stopped."""
    ended = await _follow(context, given, await _begun(context, given))
    return {
        "source": given.source,
        "target": given.target,
        "alias": given.alias,
        "count": ended["count"],
        "recall": ended["recall"],
    }


async def _begun(context: Context, given: CopyInput) -> dict[str, Any]:
    """The copy as it is. What a task left that has ended is not in its way."""
    try:
        return await _begin(context, given)
    except ServiceError as error:
        if error.code not in _IN_THE_WAY or not await _clear(context):
            raise
    return await _begin(context, given)


async def _begin(context: Context, given: CopyInput) -> dict[str, Any]:
    answer = await context.call("vectors", "POST", _BEGIN, json=given.begins(context.task_id), idempotent=True)
    copy: dict[str, Any] = answer.json()
    return copy


async def _clear(context: Context) -> bool:
    """Whether there were targets of the tenant that nobody goes on with; they are gone then."""
    found = False
    async for collection in listed(lambda path: context.call("vectors", "GET", path), _COLLECTIONS):
        if collection["status"] == _FILLING:
            found |= await _delete_if(context, collection["name"], context.has_ended)
    return found


async def _follow(context: Context, given: CopyInput, copy: dict[str, Any]) -> dict[str, Any]:
    """The copy when it has ended. Raises Unavailable shortly before the attempt would, for another to go on."""
    total, phase = copy["total"], None
    while copy["phase"] != _ENDED:
        if copy["phase"] != phase:
            phase = copy["phase"]
            context.log(f"{phase}: {copy['copied']} of {max(total, copy['copied'])} records are copied")
        copy = await _step(context, given) or copy
        context.progress(copy["copied"], max(total, copy["copied"]), copy["phase"])
        if copy["phase"] != _ENDED and context.remaining_seconds < _LAST_SECONDS:
            raise Unavailable("tasks", detail="The copy goes on in another attempt.")
    return copy


async def _step(context: Context, given: CopyInput) -> dict[str, Any] | None:
    """None when it could not be done right now; then it has been waited for as long as that takes."""
    try:
        answer = await context.call(
            "vectors",
            "POST",
            _STEP,
            json=given.step(context.task_id),
            timeout_seconds=_STEP_SECONDS,
            idempotent=True,  # of two at once one is told to wait
        )
    except ServiceError as error:
        if error.code not in _BUSY_CODES:
            raise
        await asyncio.sleep(min(retry_after(error) or 1, context.remaining_seconds))
        return None
    copy: dict[str, Any] = answer.json()
    return copy


async def _give_up(context: Context, given: CopyInput) -> None:
    """Takes the target away, if it is still this copy's and still being filled.

    When the copy has ended, and only nobody was told, what it made is in use, and may be all that is left.
    """

    async def is_ours(copy_id: str) -> bool:
        return copy_id == context.task_id

    await _delete_if(context, given.target, is_ours)


async def _delete_if(context: Context, name: str, is_over: Callable[[str], Awaitable[bool]]) -> bool:
    """Delete a target that is being filled by a copy of which `is_over` says so; whether it did.

    The version in its tag is the copy's id.
    """
    target = f"{_COLLECTIONS}/{name}"
    try:
        read = await context.call("vectors", "GET", target)
        tag = read.headers.get("ETag", "")
        if read.json()["status"] != _FILLING or not await is_over(version_in(tag)):
            return False
        await context.call("vectors", "DELETE", target, headers={"If-Match": tag})
    except ServiceError as error:
        if error.status not in _GONE:
            raise
        return False
    return True


VECTORS_COPY = Kind(
    name="vectors.copy",
    description="Copies a collection to another engine, or embeds it anew, while it is written to; then switches an "
    "alias to the copy.",
    input_model=CopyInput,
    run=_copy,
    give_up=_give_up,
    scopes=("vectors:read", "vectors:write"),
    timeout_seconds=1500,
)
