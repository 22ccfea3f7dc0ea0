"""Qdrant's server through its own client: the engine to choose when one machine is not enough."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from services.vectors.adapters.probing import write_and_read_back
from services.vectors.adapters.qdrant_collections import Kept, QdrantCollections
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.adapters.qdrant_payload import (
    ID,
    METADATA,
    NUMBERS,
    RETURNED,
    WORDS,
    kept_metadata,
    merge_while_same,
    metadata_payload,
    payload_of,
    physical_name,
    point_id,
)
from services.vectors.adapters.qdrant_points import few, filter_of, match_of, record_of, vectors_of, words_in
from services.vectors.adapters.qdrant_words import SETTLED_SECONDS, QdrantWords
from services.vectors.adapters.words_late import LateWords
from services.vectors.domain import (
    ALL_MODES,
    Capabilities,
    Collection,
    EngineName,
    Match,
    Metadata,
    MetadataChanges,
    Record,
    Vector,
    comparable,
)
from services.vectors.geometry import score
from services.vectors.terms import Condition

# The client turns points into messages on the event loop: few at a time keep each turn at a few milliseconds.
_BATCH_POINTS = 64
_SEARCH_EF = 128  # the default lost 6 % of the neighbours on overlapping clusters
_MARK = "inserted_by"


class QdrantServerEngine:
    """VectorEngine over a server. A failed upsert may have stored the batches before the failure."""

    name = EngineName.QDRANT
    at_once = 4

    def __init__(self, connection: QdrantConnection, settled_seconds: float = SETTLED_SECONDS) -> None:
        """`settled_seconds`: how long a collection of before is looked through again for texts without words."""
        self._qdrant = connection
        self._collections = QdrantCollections(connection)
        self._late_words = LateWords(QdrantWords(connection, self._collections, settled_seconds).give)

    async def create_collection(self, collection: Collection) -> None:
        await self._collections.create(collection)

    async def drop_collection(self, collection: Collection) -> None:
        await self._collections.drop(physical_name(collection.id))

    async def holds(self, collection: Collection) -> bool:
        return await self._collections.holds(physical_name(collection.id))

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        name = physical_name(collection.id)
        for start in range(0, len(records), _BATCH_POINTS):
            batch = records[start : start + _BATCH_POINTS]
            kept = await self._collections.look_up(name)  # each time: one of before may be given words meanwhile
            await self._upsert(name, kept, batch, [payload_of(record) for record in batch])

    async def insert(self, collection: Collection, records: Sequence[Record]) -> list[str]:
        """Marked by whom, so that one of several at once finds its mark: the server says nothing of what it left out.

        What is there is looked for first all the same, for servers before 1.17, which know no insertion.
        """
        name, mark = physical_name(collection.id), secrets.token_hex(8)
        there = await self._marks(name, [record.id for record in records])
        new = [record for record in records if record.id not in there]
        for start in range(0, len(new), _BATCH_POINTS):
            batch = new[start : start + _BATCH_POINTS]
            payloads = [payload_of(record) | {_MARK: mark} for record in batch]
            kept = await self._collections.look_up(name)
            await self._upsert(name, kept, batch, payloads, mode="insert_only")
        stored = await self._marks(name, [record.id for record in new]) if new else {}
        return [record.id for record in new if stored.get(record.id) == mark]

    async def _marks(self, name: str, ids: Sequence[str]) -> dict[str, str | None]:
        """Of those that are there, by whom they were inserted."""
        points = [point_id(one) for one in ids]
        found = await self._qdrant.run(lambda client, _: client.retrieve(name, points, with_payload=[ID, _MARK]))
        payloads = [point.payload or {} for point in found]
        return {payload[ID]: payload.get(_MARK) for payload in payloads}

    async def _upsert(
        self,
        name: str,
        kept: Kept,
        records: Sequence[Record],
        payloads: list[dict[str, Any]],
        mode: str | None = None,
    ) -> None:
        await self._collections.index_numbers(name, kept, {key for payload in payloads for key in payload[NUMBERS]})
        words = await asyncio.to_thread(words_in, records) if kept.has_words else [None] * len(records)
        await self._qdrant.run(
            lambda client, models: client.upsert(
                name,
                [
                    models.PointStruct(id=point_id(record.id), vector=vectors_of(models, record, some), payload=payload)
                    for record, payload, some in zip(records, payloads, words, strict=True)
                ],
                wait=True,
                update_mode=models.UpdateMode(mode) if mode else None,
            )
        )

    async def search(
        self, collection: Collection, vector: Vector, limit: int, condition: Condition | None, *, exact: bool = False
    ) -> list[Match]:
        found = await self._query(
            collection, limit, condition, lambda models: (vector.tolist(), None, self._effort(models, limit, exact))
        )
        return [match_of(point, score(collection.metric, point.score)) for point in few(found.points)]

    def _effort(self, models: Any, limit: int, exact: bool) -> Any:
        if self._qdrant.in_memory:  # it is exact, and warns
            return None
        return models.SearchParams(exact=True) if exact else models.SearchParams(hnsw_ef=max(_SEARCH_EF, 2 * limit))

    async def search_words(
        self, collection: Collection, tokens: Sequence[int], limit: int, condition: Condition | None
    ) -> list[Match]:
        if not (await self._collections.look_up(physical_name(collection.id))).finds_words:
            raise self._late_words.missing(collection)

        def asked(models: Any) -> tuple[Any, str, Any]:
            sparse = models.SparseVector(indices=list(tokens), values=[1.0] * len(tokens))
            # Rarity among the records there are: without a filter, one of all, deleted ones would count for a while.
            present = models.IdfCorpusParams(corpus=models.Filter())
            return sparse, WORDS, models.SearchParams(idf=present)

        found = await self._query(collection, limit, condition, asked)
        return [match_of(point, comparable(point.score)) for point in few(found.points)]

    async def _query(
        self, collection: Collection, limit: int, condition: Condition | None, asked: Callable[[Any], tuple[Any, ...]]
    ) -> Any:
        """`asked` makes of Qdrant's models the query, the name of the vector it is for, and the parameters."""

        def query(client: Any, models: Any) -> Any:
            wanted, using, parameters = asked(models)
            return client.query_points(
                physical_name(collection.id),
                query=wanted,
                using=using,
                query_filter=filter_of(models, condition) if condition else None,
                search_params=parameters,
                limit=limit,
                with_payload=RETURNED,
            )

        return await self._qdrant.run(query)

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        found = await self._qdrant.run(
            lambda client, _: client.retrieve(
                physical_name(collection.id), [point_id(record_id)], with_payload=RETURNED, with_vectors=True
            )
        )
        return record_of(found[0]) if found else None

    async def page(
        self,
        collection: Collection,
        after: str | None,
        limit: int,
        condition: Condition | None,
        *,
        with_vectors: bool,
    ) -> list[Record]:
        start = None if after is None else point_id(after)  # which is among what is found, while it is there
        found, _ = await self._qdrant.run(
            lambda client, models: client.scroll(
                physical_name(collection.id),
                scroll_filter=filter_of(models, condition) if condition else None,
                limit=limit + 1,
                offset=start,
                with_payload=RETURNED,
                with_vectors=with_vectors,
            )
        )
        return [record_of(point) for point in few(found) if str(point.id) != start][:limit]

    async def merge_metadata(self, collection: Collection, record_id: str, changes: MetadataChanges) -> Record | None:
        """Read, merge, and write if it still is what was read, which the server judges; read again, since it tells not.

        One that was overtaken after its write merges once more, into what overtook it.
        """
        return await merge_while_same(
            changes,
            lambda: self.find(collection, record_id),
            lambda was, made: self._amend(collection, record_id, was, made),
        )

    async def _amend(self, collection: Collection, record_id: str, was: str, made: Metadata) -> bool:
        name, payload = physical_name(collection.id), metadata_payload(made)
        await self._collections.index_numbers(name, await self._collections.look_up(name), set(payload[NUMBERS]))
        await self._qdrant.run(
            lambda client, models: client.set_payload(
                name,
                payload,
                models.Filter(
                    must=[
                        models.HasIdCondition(has_id=[point_id(record_id)]),
                        models.FieldCondition(key=METADATA, match=models.MatchValue(value=was)),
                    ]
                ),
                wait=True,
            )
        )
        found = await self.find(collection, record_id)
        return found is not None and kept_metadata(found.metadata) == payload[METADATA]

    async def delete(self, collection: Collection, ids: Sequence[str]) -> int:
        points = [point_id(one) for one in ids]
        return await self._delete(collection, lambda models: models.Filter(must=[models.HasIdCondition(has_id=points)]))

    async def delete_matching(self, collection: Collection, condition: Condition) -> int:
        return await self._delete(collection, lambda models: filter_of(models, condition))

    async def _delete(self, collection: Collection, wanted: Callable[[Any], Any]) -> int:
        """Delete what is met by the filter that `wanted` makes of Qdrant's models."""
        name = physical_name(collection.id)
        found = await self._qdrant.run(lambda client, models: client.count(name, wanted(models), exact=True))
        await self._qdrant.run(
            lambda client, models: client.delete(name, models.FilterSelector(filter=wanted(models)), wait=True)
        )
        return int(found.count)

    async def count(self, collection: Collection, condition: Condition | None = None) -> int:
        found = await self._qdrant.run(
            lambda client, models: client.count(
                physical_name(collection.id), filter_of(models, condition) if condition else None, exact=True
            )
        )
        return int(found.count)

    def capabilities(self) -> Capabilities:
        return Capabilities(backend="Qdrant server", modes=ALL_MODES, exact=False, exact_on_request=True)

    async def check(self) -> None:
        await write_and_read_back(self)

    async def aclose(self) -> None:
        """The connection is closed by whoever opened it."""
        await self._late_words.aclose()
