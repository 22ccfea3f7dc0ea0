"""The use cases around aliases: pointing them somewhere, finding, listing and deleting them."""

from datetime import UTC, datetime

from services.vectors.aliases.domain import Pointed
from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.domain import WRITE, Alias, AliasRefused, Collection
from services.vectors.errors import AliasNotFound, CollectionExists, CollectionNotFound, QuotaExceeded
from services.vectors.events import Done
from services.vectors.ports import Catalogue
from shared.errors import PreconditionFailed, ServiceError
from shared.identity import Caller, Tells
from shared.resources import CursorCodec, Slice, etag, require_match
from shared.schemas import new_id


class AliasService:
    """The catalogue judges and changes in one step, so of several who switch an alias each sees what it switches."""

    def __init__(
        self, catalogue: Catalogue, collections: CollectionService, cursors: CursorCodec, auth: Tells, most: int = 0
    ) -> None:
        """A tenant may have `most` aliases; 0 is no limit."""
        self._catalogue = catalogue
        self._collections = collections
        self._cursors = cursors
        self._auth = auth
        self._most = most

    async def point(self, caller: Caller, name: str, collection: str, if_match: str | None = None) -> Pointed:
        """Let `name` point to `collection` from now on, whatever it pointed to before.

        Who is let near the name by the route needs the scope for the collection, too. Raises MissingScope,
        CollectionNotFound, CollectionExists where a collection has the name, QuotaExceeded, PreconditionFailed.
        """
        caller.require(WRITE, collection)
        target = await self._collections.look_up(caller, Named.to_write(collection))
        if target.name != collection:
            raise CollectionNotFound(collection)  # an alias: what it points to may be another in a moment
        version, at = new_id(), datetime.now(UTC)
        while True:
            was = await self._matched(caller, name, if_match)
            found = await self._catalogue.point_alias(name, target, version=version, at=at, was=was, most=self._most)
            if found is not AliasRefused.CHANGED:  # else another has switched it since: it is matched again
                break
        if isinstance(found, AliasRefused):
            raise self._refusal(found, name, target)
        pointed = _pointed(found, version, at)
        self._tell(caller, pointed, target)
        return pointed

    async def _matched(self, caller: Caller, name: str, if_match: str | None) -> str | None:
        """The version to be switched; None for whichever there is, or none. Raises PreconditionFailed."""
        if if_match is None:
            return None
        present = await self._catalogue.find_alias(caller.tenant_id, name)
        if present is None:
            raise PreconditionFailed
        require_match(if_match, etag(present.version))
        return present.version

    def _refusal(self, reason: AliasRefused, name: str, target: Collection) -> ServiceError:
        match reason:
            case AliasRefused.NAME_TAKEN:
                return CollectionExists(name)
            case AliasRefused.TOO_MANY:
                return QuotaExceeded("aliases", self._most)
            case _:
                return CollectionNotFound(target.name)

    def _tell(self, caller: Caller, pointed: Pointed, target: Collection) -> None:
        if pointed.is_new or pointed.is_switched:
            done = Done.ALIAS_CREATED if pointed.is_new else Done.ALIAS_SWITCHED
            self._auth.tell(caller, done, pointed.alias.name, once=pointed.alias.version, collection_id=target.id)

    async def get(self, caller: Caller, name: str) -> Alias:
        """Raises AliasNotFound."""
        alias = await self._catalogue.find_alias(caller.tenant_id, name)
        if alias is None:
            raise AliasNotFound(name)
        return alias

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Slice[Alias]:
        """By name."""
        return await self._cursors.slice(
            lambda after, most: self._catalogue.list_aliases(caller.tenant_id, after=after, limit=most),
            key=lambda alias: alias.name,
            scope=["vectors.aliases", caller.tenant_id],
            limit=limit,
            cursor=cursor,
        )

    async def delete(self, caller: Caller, name: str, if_match: str | None = None) -> None:
        """The collection stays. Raises AliasNotFound, PreconditionFailed."""
        while True:
            present = await self.get(caller, name)
            require_match(if_match, etag(present.version))
            if await self._catalogue.remove_alias(caller.tenant_id, name, was=present.version):
                break
        self._auth.tell(caller, Done.ALIAS_DELETED, name, once=present.version)


def _pointed(found: Alias, version: str, at: datetime) -> Pointed:
    is_ours = found.version == version
    is_new = is_ours and found.created_at == at
    return Pointed(found, is_new=is_new, is_switched=is_ours and not is_new)
