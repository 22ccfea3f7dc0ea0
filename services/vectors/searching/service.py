"""The use cases around searching: one search, and a batch of them."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from services.vectors.collections.calling import anew_when_changed, on_engine
from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.domain import MAX_K, Collection, Match, SearchMode, Vector
from services.vectors.errors import RerankUnconfigured, UnsupportedCapability
from services.vectors.geometry import float32, placed, require_dimension
from services.vectors.ports import Embedder, Reranker, VectorEngine
from services.vectors.room import Room
from services.vectors.searching.domain import AllFound, Found, Hit
from services.vectors.searching.ranking import FUSION_DEPTH, best, fused, grouped
from services.vectors.searching.reordering import reordered
from services.vectors.searching.schemas import SearchBatch, SearchRequest, Weights
from services.vectors.stores.expiring import Activity
from services.vectors.terms import Condition
from services.vectors.together import together
from services.vectors.usage.domain import content_bytes
from services.vectors.words import MAX_QUERY_WORDS
from shared.errors import FieldProblem, Invalid, ServiceError
from shared.identity import Caller
from shared.telemetry import monotonic_ms
from shared.texts import asked_of

_SHORT_QUERY_CHARS = 1000  # a longer one is cut into words on a thread


@dataclass(frozen=True, slots=True)
class Asked:
    """A search that is understood; `vector` is None where the query is yet to be embedded, or no vector is needed."""

    body: SearchRequest
    condition: Condition | None
    tokens: Sequence[int]
    collection: Collection
    vector: Vector | None
    pointer: str

    @property
    def is_to_be_embedded(self) -> bool:
        return self.body.mode is not SearchMode.KEYWORD and self.vector is None


class SearchService:
    """Everything engines may not be given is refused here, so that all of them refuse alike."""

    def __init__(
        self,
        collections: CollectionService,
        embedder: Embedder,
        activity: Activity,
        reranker: Reranker | None = None,
    ) -> None:
        self._collections = collections
        self._activity = activity
        self._embedder = embedder
        self._reranker = reranker

    async def search(self, caller: Caller, body: SearchRequest) -> Found:
        """The `k` best, equal scores by id.

        Raises FilterInvalid, CollectionNotFound, UnsupportedCapability, RerankUnconfigured, WordsMissing,
        DimensionMismatch, ModelMismatch, VectorInvalid, RerankFailed, CollectionChanged, StoreExpired.
        """
        started = time.perf_counter()

        async def search() -> Found:
            (asked,) = await self._embedded(caller, [await self._understood(caller, body, "")])
            return await self._found(caller, asked)

        return replace(await anew_when_changed(search), took_ms=round(monotonic_ms(started), 2))

    async def search_batch(self, caller: Caller, body: SearchBatch) -> AllFound:
        """All of them, embedded together; one that is refused refuses all, with a pointer to it.

        Raises what `search` raises, and AnswerTooLarge also for what all of them hold together.
        """
        started = time.perf_counter()
        found = await anew_when_changed(lambda: self._all_found(caller, body.searches))
        return AllFound(found, round(monotonic_ms(started), 2))

    async def _all_found(self, caller: Caller, searches: Sequence[SearchRequest]) -> list[Found]:
        asked = [
            await self._understood(caller, search, f"/searches/{at}", beside=True) for at, search in enumerate(searches)
        ]
        asked, room = await self._embedded(caller, asked), Room()
        at_once = min(self._collections.engine_of(one.collection).at_once for one in asked)
        return await together([partial(self._found_within, room, caller, one) for one in asked], at_once)

    async def _understood(self, caller: Caller, body: SearchRequest, pointer: str, *, beside: bool = False) -> Asked:
        """`beside`: on a thread, as one of many that together take long to read."""
        with _pointed(pointer):
            is_short = len(body.query or "") <= _SHORT_QUERY_CHARS and not beside
            condition, tokens = _read(body) if is_short else await asyncio.to_thread(_read, body)
            collection = await self._collections.get_ready(caller, Named.to_read(body.collection))
            self._require_capabilities(collection, body)
            await self._activity.note(collection)
            return Asked(body, condition, tokens, collection, await self._given_vector(collection, body), pointer)

    def _require_capabilities(self, collection: Collection, body: SearchRequest) -> None:
        can = self._collections.engine_of(collection).capabilities()
        if body.mode not in can.modes:
            raise UnsupportedCapability(
                "/mode", engine=collection.engine.value, capability=f"{body.mode.value!r} search"
            )
        if body.exact and not can.exact_on_request:
            raise UnsupportedCapability("/exact", engine=collection.engine.value, capability="exact search")
        if body.rerank and self._reranker is None:
            raise RerankUnconfigured

    async def _given_vector(self, collection: Collection, body: SearchRequest) -> Vector | None:
        if body.vector is not None:
            require_dimension(collection.name, collection.dimension, len(body.vector), "/vector")
            return placed(float32(body.vector, "/vector"), collection.metric, "/vector")
        if body.mode is not SearchMode.KEYWORD:
            require_dimension(collection.name, collection.dimension, self._embedder.dimension, "/query")
            await self._collections.require_model(collection, self._embedder.model, "/query")
        return None

    async def _embedded(self, caller: Caller, asked: Sequence[Asked]) -> list[Asked]:
        """With the vectors of their queries, which are asked for together."""
        texts = [one.body.query or "" for one in asked if one.is_to_be_embedded]
        vectors = iter(await self._embedder.embed_queries(texts, caller) if texts else ())
        return [_placed(one, next(vectors)) if one.is_to_be_embedded else one for one in asked]

    async def _found_within(self, room: Room, caller: Caller, asked: Asked) -> Found:
        """Takes of `room` what was found; which of many is one too many depends on all of them."""
        found = await self._found(caller, asked)
        with _pointed("/searches"):
            for hit in found.hits:
                room.take(content_bytes(hit.match.text, hit.match.metadata))
        return found

    async def _found(self, caller: Caller, asked: Asked) -> Found:
        started = time.perf_counter()
        with _pointed(asked.pointer):
            collection, hits = await on_engine(
                self._collections,
                caller,
                Named.to_read(asked.body.collection),
                asked.collection,
                lambda engine, at: self._hits(engine, at, asked, caller),
                has_vectors=asked.vector is not None,
            )
        reranked_by = self._reranker.model if self._reranker and asked.body.rerank else None
        return Found(collection, hits, round(monotonic_ms(started), 2), reranked_by)

    async def _hits(self, engine: VectorEngine, collection: Collection, asked: Asked, caller: Caller) -> list[Hit]:
        body = asked.body
        found = await _ranked(engine, collection, asked, body.candidates or (MAX_K if body.group_by else body.k))
        if body.rerank and self._reranker:
            found = await reordered(self._reranker, body.query or "", found, caller)
        if body.min_score is not None:
            found = [match for match in found if match.score >= body.min_score]
        if body.group_by:
            return grouped(found, body.group_by, body.k, body.group_size)
        return [Hit(match) for match in found[: body.k]]


def _read(body: SearchRequest) -> tuple[Condition | None, Sequence[int]]:
    tokens = asked_of(body.query or "") if body.mode is not SearchMode.DENSE else []
    if len(tokens) > MAX_QUERY_WORDS:
        detail = f"A query may have {MAX_QUERY_WORDS:,} different words where it is searched by keywords."
        raise Invalid.field("/query", "too_many_words", detail)
    return body.condition(), tokens


def _placed(asked: Asked, vector: Vector) -> Asked:
    with _pointed(asked.pointer):
        return replace(asked, vector=placed(vector, asked.collection.metric, "/query"))


async def _ranked(engine: VectorEngine, collection: Collection, asked: Asked, limit: int) -> list[Match]:
    async def near(most: int) -> list[Match]:
        assert asked.vector is not None  # noqa: S101 - given, or made of the query
        return await engine.search(collection, asked.vector, most, asked.condition, exact=asked.body.exact)

    async def worded(most: int) -> list[Match]:
        return await engine.search_words(collection, asked.tokens, most, asked.condition) if asked.tokens else []

    match asked.body.mode:
        case SearchMode.DENSE:
            return await best(near, limit)
        case SearchMode.KEYWORD:
            return await best(worded, limit)
    depth, weights = max(limit, FUSION_DEPTH), asked.body.weights or Weights()
    by_meaning, by_words = await together([lambda: best(near, depth), lambda: best(worded, depth)], at_once=2)
    return fused([(weights.dense, by_meaning), (weights.keyword, by_words)])[:limit]


@contextmanager
def _pointed(pointer: str) -> Iterator[None]:
    """What is refused within is said to be the part of the body at `pointer`."""
    try:
        yield
    except ServiceError as error:
        if pointer:
            problems = error.errors or [FieldProblem(pointer="", code=error.code, detail=error.detail)]
            error.errors = [one.model_copy(update={"pointer": pointer + one.pointer}) for one in problems]
        raise
