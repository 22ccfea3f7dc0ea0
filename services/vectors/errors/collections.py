"""Of collections, their aliases and the engines that keep them."""

from shared.errors import Conflict, Invalid, NotFound, Unavailable


class CollectionMissing(Exception):
    """An engine does not hold the collection it was asked for: it was deleted, here or through another replica."""


class CollectionNotFound(NotFound):
    code = "vectors.collection_not_found"
    meaning = "There is no such collection, or it belongs to another tenant."

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no collection {name!r}.")


class CollectionLost(NotFound):
    """The catalogue names a collection that its engine does not hold; only a restore or a deletion helps."""

    code = "vectors.collection_lost"
    meaning = "The engine that `detail` names no longer holds the collection: have it restored, or delete it."

    def __init__(self, name: str, component: str) -> None:
        super().__init__(f"{component} no longer holds collection {name!r}: have it restored, or delete it.")


class CollectionExists(Conflict):
    code = "vectors.collection_exists"
    meaning = "A collection of this name exists, or is still being deleted."

    def __init__(self, name: str, engine: str | None = None, *, being_deleted: bool = False) -> None:
        state = "is still being deleted from" if being_deleted else "exists already in"
        super().__init__(f"Collection {name!r} {state} {engine}." if engine else f"Collection {name!r} exists already.")


class CollectionAliased(Conflict):
    code = "vectors.collection_aliased"
    meaning = "An alias points to the collection, which is not deleted while it does; `detail` names both."

    def __init__(self, name: str, alias: str) -> None:
        super().__init__(f"The alias {alias!r} points to collection {name!r}: switch or delete the alias first.")


class CollectionChanged(Conflict):
    code = "vectors.collection_changed"
    meaning = (
        "While the request was served its name came to stand for a collection of another dimension or metric, and then "
        "for yet another: send it again."
    )

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} stands for a collection of another dimension or metric since a moment: try again.")


class CollectionFull(Invalid):
    code = "vectors.collection_full"
    meaning = "The engine keeps no more in one collection."

    def __init__(self, engine: str, limit: str) -> None:
        self.engine, self.limit = engine, limit
        super().__init__(f"The engine {engine!r} keeps {limit} in one collection at most; use 'qdrant' for more.")


class AliasNotFound(NotFound):
    code = "vectors.alias_not_found"
    meaning = "There is no such alias, or it belongs to another tenant."

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no alias {name!r}.")


class AliasExists(Conflict):
    code = "vectors.alias_exists"
    meaning = "An alias has this name, which a collection cannot have then."

    def __init__(self, name: str, collection: str) -> None:
        super().__init__(f"{name!r} is an alias of collection {collection!r}.")


class QuotaExceeded(Conflict):
    code = "vectors.quota_exceeded"
    meaning = (
        "The tenant would have more collections, records, files or bytes than one may have: delete some. `GET "
        "/api/v1/vectors/usage` tells how many there are."
    )

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"A tenant may have {limit} {what} here, and there would be more; delete some first.")


class UnsupportedCapability(Invalid):
    code = "vectors.unsupported_capability"
    meaning = "The collection's engine cannot do this here; `GET /api/v1/vectors/engines` says what it can."

    def __init__(self, pointer: str, *, engine: str, capability: str) -> None:
        detail = f"The engine {engine!r} does not offer {capability} here; see GET /api/v1/vectors/engines."
        super().__init__(detail, at=(pointer, "unsupported_capability"))


class EngineKeyRefused(Unavailable):
    """Waiting does not help, but the caller is not to blame: an operator gives the right key, and it works."""

    code = "vectors.engine_key_refused"
    meaning = "An engine refuses the key that the service has for it: the operator has to give the right one."

    def __init__(self, component: str, setting: str) -> None:
        detail = f"{component} refuses the key of this service: {setting} is missing or wrong."
        super().__init__(component, retry_after_seconds=30, detail=detail)
