"""Making, listing, rotating and revoking API keys."""

from datetime import UTC, datetime, timedelta

from services.auth.entry.api_keys.hashing import KeyHasher
from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.entry.api_keys.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyFound, ApiKeyRead
from services.auth.errors import ApiKeyNotFound, ApiKeyReplaced, TooManyApiKeys
from services.auth.models import ApiKey
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust.scopes import granted
from services.auth.trust.work import Work
from shared.errors import Invalid
from shared.identity import PREFIX, Caller, public_id_of
from shared.resources import CursorCodec, Page, cut

_MAX_LIVE_KEYS = 100


class ApiKeyService:
    def __init__(self, work: Work, hasher: KeyHasher, cursors: CursorCodec) -> None:
        self._work, self._hasher, self._cursors = work, hasher, cursors
        self._keys = ApiKeyRepository(work.session)

    async def create(self, caller: Caller, body: ApiKeyCreate) -> ApiKeyCreated:
        """Raises ScopeNotAllowed for a scope the caller does not hold, TooManyApiKeys, Invalid for a past expiry."""
        if body.expires_at and body.expires_at <= datetime.now(UTC):
            raise Invalid.field("/expires_at", "in_the_past", "The expiry must be in the future.")
        scopes = granted(body.scopes, caller.scopes)
        await AccountRepository(self._work.session).get_principal(caller.subject, caller.tenant_id)
        row, key = await self._add(caller, body.name, scopes, body.expires_at)
        self._note("api_key.created", caller, row, scopes=row.scopes)
        return ApiKeyCreated(**read(row).model_dump(), key=key)

    async def rotate(self, caller: Caller, key_id: str, overlap_seconds: int) -> ApiKeyCreated:
        """A new key with the same name, scopes and end; the old one goes on through the overlap.

        Raises ApiKeyNotFound, ApiKeyReplaced, TooManyApiKeys, ScopeNotAllowed when the caller holds less than the key.
        """
        old = await self._keys.get_live_locked(caller.tenant_id, caller.subject, key_id)
        if old.replaced_by:
            raise ApiKeyReplaced
        row, key = await self._add(caller, old.name, granted(old.scopes, caller.scopes), old.expires_at)
        await self._keys.replace(old, row, datetime.now(UTC) + timedelta(seconds=overlap_seconds))
        if overlap_seconds == 0:
            self._work.access.end_key(old.id)
        self._note("api_key.rotated", caller, old, replaced_by=row.id, overlap_seconds=overlap_seconds)
        return ApiKeyCreated(**read(row).model_dump(), key=key)

    async def _add(
        self, caller: Caller, name: str, scopes: frozenset[str], expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        await self._keys.lock_owner(caller.subject)
        if await self._keys.count_live(caller.tenant_id, caller.subject) >= _MAX_LIVE_KEYS:
            raise TooManyApiKeys
        made = self._hasher.make()
        row = await self._keys.create(
            tenant_id=caller.tenant_id,
            user_id=caller.subject,
            name=name,
            scopes=scopes,
            expires_at=expires_at,
            public_id=made.public_id,
            secret_hash=made.secret_hash,
        )
        return row, made.key

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Page[ApiKeyRead]:
        """Newest first. Raises Invalid for a cursor of another list."""
        scope = ["api_keys", caller.tenant_id, caller.subject]
        position = self._cursors.decode(cursor, scope=scope)
        rows = await self._keys.list_live(
            caller.tenant_id, caller.subject, after=position[0] if position else None, limit=limit + 1
        )
        page, last = cut(rows, limit)
        next_cursor = self._cursors.encode([last.id], scope=scope) if last else None
        return Page(items=[read(row) for row in page], next_cursor=next_cursor)

    async def find(self, prefix: str) -> ApiKeyFound:
        """Whose key begins like this, in any state. Raises ApiKeyNotFound."""
        key = await self._keys.find_by_public_id(public_id_of(prefix))
        if key is None:
            raise ApiKeyNotFound
        owner = {"user_id": key.user_id, "tenant_id": key.tenant_id, "revoked_at": key.revoked_at}
        return ApiKeyFound(**read(key).model_dump(), **owner)

    async def revoke(self, caller: Caller, key_id: str) -> None:
        """The caller's own key, or anybody's where an administrator asks. Raises ApiKeyNotFound."""
        if caller.allows("admin"):
            key = await self._keys.get_anybodys_live_locked(key_id)
        else:
            key = await self._keys.get_live_locked(caller.tenant_id, caller.subject, key_id)
        await self._keys.revoke(key)
        self._work.access.end_key(key.id)
        self._note("api_key.revoked", caller, key)

    def _note(self, action: str, caller: Caller, key: ApiKey, **details: object) -> None:
        self._work.note(action, actor=caller.subject, tenant_id=key.tenant_id, target=key.id, **details)


def read(row: ApiKey) -> ApiKeyRead:
    return ApiKeyRead(
        id=row.id,
        name=row.name,
        prefix=PREFIX + row.public_id,
        scopes=row.scopes,
        expires_at=row.expires_at,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        replaced_by=row.replaced_by,
    )
