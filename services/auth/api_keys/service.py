"""Making, listing and revoking API keys."""

from datetime import UTC, datetime

from services.auth.accounts.repository import AccountRepository
from services.auth.api_keys.format import ApiKeyFormat, shown_prefix
from services.auth.api_keys.repository import ApiKeyRepository
from services.auth.api_keys.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyRead
from services.auth.errors import TooManyApiKeys
from services.auth.models import ApiKey
from services.auth.scopes import granted
from shared.errors import Invalid
from shared.pagination import CursorCodec, Page, cut
from shared.security import Caller

_MAX_LIVE_KEYS = 100


class ApiKeyService:
    def __init__(
        self, keys: ApiKeyRepository, accounts: AccountRepository, key_format: ApiKeyFormat, cursors: CursorCodec
    ) -> None:
        self._keys, self._accounts, self._format, self._cursors = keys, accounts, key_format, cursors

    async def create(self, caller: Caller, body: ApiKeyCreate) -> ApiKeyCreated:
        """Raises ScopeNotAllowed for a scope the caller does not hold, TooManyApiKeys, Invalid for a past expiry."""
        if body.expires_at and body.expires_at <= datetime.now(UTC):
            raise Invalid.field("/expires_at", "in_the_past", "The expiry must be in the future.")
        scopes = granted(frozenset(body.scopes), caller.scopes)
        owner = await self._accounts.get_enabled(caller.subject)
        await self._keys.lock_owner(owner.id)
        if await self._keys.count_live(owner.tenant_id, owner.id) >= _MAX_LIVE_KEYS:
            raise TooManyApiKeys
        made = self._format.make()
        row = await self._keys.create(
            owner,
            name=body.name,
            scopes=scopes,
            expires_at=body.expires_at,
            public_id=made.public_id,
            secret_hash=made.secret_hash,
        )
        return ApiKeyCreated(**_read(row).model_dump(), key=made.key)

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Page[ApiKeyRead]:
        """Newest first. Raises Invalid for a cursor of another list."""
        scope = ["api_keys", caller.tenant_id, caller.subject]
        position = self._cursors.decode(cursor, scope=scope)
        rows = await self._keys.list_live(
            caller.tenant_id, caller.subject, after=position[0] if position else None, limit=limit + 1
        )
        page, last = cut(rows, limit)
        next_cursor = self._cursors.encode([last.id], scope=scope) if last else None
        return Page(items=[_read(row) for row in page], next_cursor=next_cursor)

    async def revoke(self, caller: Caller, key_id: str) -> None:
        """Raises ApiKeyNotFound."""
        await self._keys.revoke(caller.tenant_id, caller.subject, key_id)


def _read(row: ApiKey) -> ApiKeyRead:
    return ApiKeyRead(
        id=row.id,
        name=row.name,
        prefix=shown_prefix(row.public_id),
        scopes=row.scopes,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )
