"""What the service needs from the world outside: engines that keep vectors, a catalogue, and models."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.vectors.copies.ports import Copies
from services.vectors.domain import (
    Alias,
    AliasRefused,
    Blob,
    Capabilities,
    Collection,
    CollectionStatus,
    Embedded,
    EngineName,
    Match,
    MetadataChanges,
    Record,
    Vector,
)
from services.vectors.stores.ports import Stores
from services.vectors.terms import Condition
from shared.identity import Caller


class VectorEngine(Protocol):
    """One engine. It is given only vectors that are finite, of the right dimension, and of unit length under cosine.

    Every method but the first three raises CollectionMissing when the engine does not hold the collection, and each
    Unavailable or UpstreamTimeout (naming the engine's component) when it cannot answer, StorageFull for a full disk.
    What it acknowledged survives its own crash and is seen by the next call.
    """

    name: EngineName
    at_once: int
    """Of the searches of one batch, how many it is given at once."""

    async def create_collection(self, collection: Collection) -> None:
        """Make it; nothing happens when it is there already, so a broken attempt may be repeated."""

    async def drop_collection(self, collection: Collection) -> None:
        """Delete it with its records; nothing happens when it is gone already."""

    async def holds(self, collection: Collection) -> bool:
        """Whether it has the collection; costs little, and opens nothing."""

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        """Store `records` (their ids differ), replacing those with the same id whole. Safe to repeat after an error.

        Raises CollectionFull where the engine has a bound.
        """

    async def insert(self, collection: Collection, records: Sequence[Record]) -> list[str]:
        """Store those of `records` (their ids differ) whose ids are not there, and leave the others as they are.

        The ids of those stored; each is told to one of several at once. Safe to repeat after an error, but what the
        broken attempt stored is then there already. Raises CollectionFull where the engine has a bound.
        """

    async def search(
        self, collection: Collection, vector: Vector, limit: int, condition: Condition | None, *, exact: bool = False
    ) -> list[Match]:
        """Up to `limit` records nearest to `vector` among those that meet `condition`; ties in no order.

        With `exact`, which is asked only of who offers it, none of them is missed. Raises AnswerTooLarge where they
        hold more than `MAX_ANSWER_BYTES`, as do `search_words` and `page`.
        """

    async def search_words(
        self, collection: Collection, tokens: Sequence[int], limit: int, condition: Condition | None
    ) -> list[Match]:
        """Up to `limit` records with the best sums of weight and rarity (`words.py`) over `tokens`, which are not none.

        Among those that meet `condition` and hold one of `tokens`; ties in no order. Asked only of engines that offer
        keyword search. Raises WordsMissing for a collection of before its engine kept words, which it then gets.
        """

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        """The record, or None."""

    async def page(
        self,
        collection: Collection,
        after: str | None,
        limit: int,
        condition: Condition | None,
        *,
        with_vectors: bool,
    ) -> list[Record]:
        """Up to `limit` records that meet `condition`; fewer only when no more follow.

        They follow the record `after`, there or not, in an order of the engine's own that depends on ids alone: so none
        that stays is missed or met twice, whatever is written meanwhile. Unless asked for, vectors are empty.
        """

    async def merge_metadata(self, collection: Collection, record_id: str, changes: MetadataChanges) -> Record | None:
        """Put `changes` into the record's metadata (None takes a member away); its text and vector stay.

        The record as it is then, or None. Of several at once, no change is lost. Raises MetadataTooLarge.
        """

    async def delete(self, collection: Collection, ids: Sequence[str]) -> int:
        """Delete by id; the number of records that were there."""

    async def delete_matching(self, collection: Collection, condition: Condition) -> int:
        """Delete what meets `condition`; the number of records that did."""

    async def count(self, collection: Collection, condition: Condition | None = None) -> int:
        """How many records it holds, or how many of them meet `condition`; exactly."""

    def capabilities(self) -> Capabilities:
        """What it can do here."""

    async def check(self) -> None:
        """Write a point that is nobody's and read it back. Raises Finding, or as the others do."""

    async def aclose(self) -> None:
        """Release what it holds; acknowledged writes are kept."""


class Catalogue(Copies, Stores, Protocol):
    """Which collections and aliases there are: where a name is unique per tenant, across engines and none of theirs.

    Raises Unavailable when its store cannot answer, StorageFull when its disk is full.
    """

    async def insert(self, collection: Collection, most: int = 0) -> bool:
        """False, and nothing stored, when the tenant has a collection or an alias of that name, or `most` already.

        0 is no limit.
        """

    async def find(self, tenant_id: str, name: str) -> Collection | None:
        """The tenant's collection of that name, whatever its status."""

    async def resolve(self, tenant_id: str, name: str) -> Collection | None:
        """The tenant's collection of that name, or the one that an alias of that name points to at this moment."""

    async def list_page(self, tenant_id: str, *, after: str | None, limit: int) -> list[Collection]:
        """By name, those after `after`."""

    async def list_ready(self, engine: EngineName, *, after: str | None, limit: int) -> list[Collection]:
        """Of all tenants, those that `engine` should hold: by id, those after `after`."""

    async def count(self, tenant_id: str) -> int:
        """How many the tenant has."""

    async def set_status(
        self, collection: Collection, status: CollectionStatus, *, was: CollectionStatus | None = None
    ) -> bool:
        """False, and nothing changed, when the collection is gone or, given `was`, has another status."""

    async def claim_model(self, collection: Collection, model: str) -> str | None:
        """What its texts are embedded with: `model` when none was said before. None when the collection is gone."""

    async def retire(self, collection: Collection) -> str | None:
        """Its status is `deleting` then, unless an alias points to it: then nothing changes, and that one is named."""

    async def remove(self, collection: Collection) -> None:
        """Free the name; nothing happens when the collection is gone."""

    async def find_alias(self, tenant_id: str, name: str) -> Alias | None:
        """The tenant's alias of that name."""

    async def list_aliases(self, tenant_id: str, *, after: str | None, limit: int) -> list[Alias]:
        """By name, those after `after`."""

    async def point_alias(
        self, name: str, collection: Collection, *, version: str, at: datetime, was: str | None, most: int
    ) -> Alias | AliasRefused:
        """Let the tenant's alias `name` point to `collection`, which has to be ready, from `at` on and as `version`.

        One that points there already stays as it is. Given `was`, only an alias of that version is switched. A tenant
        may have `most`; 0 is no limit.
        """

    async def remove_alias(self, tenant_id: str, name: str, *, was: str) -> bool:
        """False, and nothing changed, when there is no such alias of the version `was`."""

    async def check(self) -> None:
        """Write something and read it back. Raises Finding, or as the others do."""

    async def aclose(self) -> None:
        """Release what it holds."""


class Blobs(Protocol):
    """Bytes by path, the same for every replica. A path is of letters, digits and dashes, between slashes.

    What is put or deleted is durable, and seen by every call that follows. Raises Unavailable or UpstreamTimeout
    (naming `files`) when it cannot answer, StorageFull when there is no room.
    """

    async def put(self, path: str, content: bytes) -> bool:
        """False, and nothing changed, when there are some at `path`: of several at once, one is told True."""

    async def get(self, path: str) -> bytes | None:
        """None when there are none."""

    async def list(self, folder: str) -> list[Blob]:
        """What lies below `folder`, however deep; by path."""

    async def delete(self, path: str) -> None:
        """What is at `path` and below it; nothing happens when nothing is."""

    async def check(self) -> None:
        """Put some, read them back and delete them. Raises Finding, or as the others do."""

    async def aclose(self) -> None:
        """Release what it holds."""


class Embedder(Protocol):
    """A model that turns text into vectors; queries and passages may be embedded differently. Tenants take turns.

    A text longer than the model reads at once is embedded in windows; nothing of it is left out. More than can be done
    in time is refused before anything is done. Raises ShareTaken, EmbeddingsBusy, TooMuchText, TextExpands,
    Unavailable, UpstreamTimeout or EmbeddingsFailed.
    """

    model: str
    dimension: int
    window_tokens: int
    """That it reads at once, with what it puts before and behind each text."""

    async def make_ready(self) -> None:
        """Whatever the first text would have to wait for."""

    def tokens_of(self, text: str, *, is_query: bool) -> int:
        """How many tokens it reads for `text`, rather too many than too few. For a thread, once it is ready."""

    async def embed_query(self, text: str, caller: Caller) -> Vector:
        """The vector to search with."""

    async def embed_queries(self, texts: Sequence[str], caller: Caller) -> list[Vector]:
        """The vectors to search with, in the order of `texts`."""

    async def embed_passages(self, texts: Sequence[str], caller: Caller) -> list[Vector]:
        """The vectors to store, in the order of `texts`."""

    async def embed(self, texts: Sequence[str], caller: Caller, *, is_query: bool) -> list[Embedded]:
        """Vectors of either kind with their tokens, in the order of `texts`."""

    async def aclose(self) -> None:
        """Release what it holds."""


class Reranker(Protocol):
    """A model that reads a query and a text together, and says how well the one answers the other."""

    model: str

    async def scores(self, query: str, texts: Sequence[str], caller: Caller) -> list[float]:
        """Of each of `texts`, in their order; higher is better, on a scale of the model's own.

        Raises RerankFailed, UpstreamTimeout, and Unavailable also when too many wait.
        """

    async def aclose(self) -> None:
        """Release what it holds."""
