"""What replicas may ask of the node, and for whom: a method of a port that does not stand here is not there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.vectors.adapters.node_protocol import CATALOGUE, PORTS
from services.vectors.domain import READ, WRITE
from shared.errors import MissingScope
from shared.identity import Caller


@dataclass(frozen=True, slots=True)
class Permission:
    """Of one method. What only reads is open to whoever may write, too: a store looks up its collection."""

    writes: bool = False
    stores: bool = False
    """Whether it is refused while the disk is nearly full."""
    of_all_tenants: bool = False
    """Whether only vectors itself may ask: it is about nobody's collections in particular."""

    def require(self, caller: Caller, name: str | None) -> None:
        """Raises MissingScope unless the caller may do it to the collection `name`, or to any where there is none."""
        if self.writes:
            caller.require(WRITE, name)
        elif name is None:
            if not any(scope.startswith("vectors:") for scope in caller.scopes):
                raise MissingScope(READ)
        elif not caller.allows(WRITE, name):
            caller.require(READ, name)


_READS, _STORES, _TAKES_AWAY = Permission(), Permission(writes=True, stores=True), Permission(writes=True)
_OF_ENGINES: Final = {
    "create_collection": Permission(stores=True),  # also by whoever reads first what a broken attempt left behind
    "drop_collection": _TAKES_AWAY,
    "holds": _READS,
    "upsert": _STORES,
    "insert": _STORES,
    "search": _READS,
    "search_words": _READS,
    "find": _READS,
    "page": _READS,
    "merge_metadata": _STORES,
    "delete": _TAKES_AWAY,
    "delete_matching": _TAKES_AWAY,
    "count": _READS,
}
_OF_THE_CATALOGUE: Final = {
    "insert": _STORES,
    "find": _READS,
    "list_page": _READS,
    "list_ready": Permission(of_all_tenants=True),
    "count": _READS,
    "set_status": _READS,  # likewise; `NodeService` lets them say no more than that it is ready
    "claim_model": _STORES,
    "remove": _TAKES_AWAY,
    "resolve": _READS,
    "retire": _TAKES_AWAY,
    "find_alias": _READS,
    "list_aliases": _READS,
    "point_alias": _STORES,
    "remove_alias": _TAKES_AWAY,
    "begin_copy": _STORES,
    "find_copy": _READS,
    "take_turn": Permission(writes=True),
    "list_changes": Permission(writes=True),
    "advance_copy": Permission(writes=True),  # also when the disk is nearly full: what was copied is not copied again
    "close_copy": Permission(writes=True),
    "end_copy": Permission(writes=True),
    "note_change": Permission(writes=True),  # of what is done already
    "describe": _STORES,
    "touch": _READS,  # whoever searches uses it
    "list_expired": Permission(of_all_tenants=True),
    "retire_expired": Permission(of_all_tenants=True),
    "find_store": _READS,
    "list_stores": _READS,
    "attach": _STORES,
    "begin_write": Permission(writes=True),  # what is written then is refused itself where there is no room
    "begin_change": Permission(writes=True),
    "release": Permission(writes=True),
    "find_attachments": _READS,
    "list_attachments": _READS,
    "find_batch": _READS,
    "settle": _READS,  # whoever looks first learns what became of an ingestion, and nobody chooses it
    "set_attributes": _STORES,
    "detach": _TAKES_AWAY,
    "list_attached": _READS,
}
PERMISSIONS: Final[Mapping[str, Mapping[str, Permission]]] = {
    place: _OF_THE_CATALOGUE if place == CATALOGUE else _OF_ENGINES for place in PORTS
}
