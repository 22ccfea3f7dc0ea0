"""Making, listing, rotating and revoking API keys."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from services.auth.entry.api_keys.domain import MadeApiKey
from services.auth.entry.api_keys.hashing import KeyHasher
from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.entry.api_keys.schemas import ApiKeyCreate, ApiKeyRotation, ApiKeySearch
from services.auth.entry.sessions.repository import SessionRepository
from services.auth.errors import ApiKeyNotFound, ApiKeyReplaced, TooManyApiKeys
from services.auth.models import ApiKey
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.notices.service import Notices
from services.auth.trust.audit.actions import Action
from services.auth.trust.audit.entries import acting
from services.auth.trust.scopes import granted
from services.auth.trust.work import Work, Works
from shared.errors import Invalid, Unauthenticated
from shared.identity import Caller, public_id_of
from shared.resources import CursorCodec, Slice

_MAX_LIVE_KEYS = 100


class ApiKeyService:
    def __init__(self, works: Works, hasher: KeyHasher, cursors: CursorCodec, notices: Notices) -> None:
        self._works, self._hasher, self._cursors, self._notices = works, hasher, cursors, notices

    async def create(self, caller: Caller, body: ApiKeyCreate, source: str | None) -> MadeApiKey:
        """Raises ScopeNotAllowed for a scope the caller does not hold, TooManyApiKeys, Invalid for a past expiry.

        Unauthenticated where what the caller acts by has ended meanwhile.
        """
        if body.expires_at and body.expires_at <= datetime.now(UTC):
            raise Invalid.field("/expires_at", "in_the_past", "The expiry must be in the future.")
        scopes = granted(body.scopes, caller.scopes)
        async with self._works.begin(source) as work:
            await _hold(work, caller)
            made = await self._add(work, caller, body.name, scopes, body.expires_at)
            _note(work, Action.API_KEY_CREATED, caller, made.row, scopes=made.row.scopes)
        self._notices.api_key_made(caller.subject, made.row.prefix, source)
        return made

    async def rotate(self, caller: Caller, key_id: str, body: ApiKeyRotation, source: str | None) -> MadeApiKey:
        """A new key with the same name, scopes and end; the old one goes on through the overlap.

        Raises ApiKeyNotFound, ApiKeyReplaced, TooManyApiKeys, ScopeNotAllowed when the caller holds less than the key,
        Unauthenticated where what they act by has ended meanwhile.
        """
        overlap_seconds = body.overlap_seconds
        async with self._works.begin(source) as work:
            await _hold(work, caller)
            keys = ApiKeyRepository(work.session)
            old = await keys.get_live_locked(caller.tenant_id, caller.subject, key_id)
            if old.replaced_by:
                raise ApiKeyReplaced
            made = await self._add(work, caller, old.name, granted(old.scopes, caller.scopes), old.expires_at)
            await keys.replace(old, made.row, datetime.now(UTC) + timedelta(seconds=overlap_seconds))
            if overlap_seconds == 0:  # it has leaked, perhaps: what was begun with it ends too
                await keys.revoke(old)
                work.access.end_key(old.id)
            _note(work, Action.API_KEY_ROTATED, caller, old, replaced_by=made.row.id, overlap_seconds=overlap_seconds)
        self._notices.api_key_made(caller.subject, made.row.prefix, source)
        return made

    async def _add(
        self, work: Work, caller: Caller, name: str, scopes: frozenset[str], expires_at: datetime | None
    ) -> MadeApiKey:
        keys = ApiKeyRepository(work.session)
        if await keys.count_live(caller.tenant_id, caller.subject) >= _MAX_LIVE_KEYS:
            raise TooManyApiKeys
        new = self._hasher.make()
        row = await keys.create(
            tenant_id=caller.tenant_id,
            user_id=caller.subject,
            name=name,
            scopes=scopes,
            expires_at=expires_at,
            public_id=new.public_id,
            secret_hash=new.secret_hash,
        )
        return MadeApiKey(row, new.key)

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Slice[ApiKey]:
        """Newest first. Raises Invalid for a cursor of another list."""
        async with self._works.begin() as work:
            return await self._cursors.slice(
                partial(ApiKeyRepository(work.session).list_live, caller.tenant_id, caller.subject),
                key=lambda row: row.id,
                scope=["api_keys", caller.tenant_id, caller.subject],
                limit=limit,
                cursor=cursor,
            )

    async def find(self, caller: Caller, body: ApiKeySearch, source: str | None) -> ApiKey:
        """Whose key begins like this, in any state. Raises ApiKeyNotFound."""
        async with self._works.begin() as work:
            key = await ApiKeyRepository(work.session).find_by_public_id(public_id_of(body.prefix))
        named = {"tenant_id": key.tenant_id, "target": key.id} if key else {}
        who = {"actor": caller.subject, **acting(caller)}
        await self._works.note(Action.API_KEY_LOOKED_UP, source=source, **who, **named)
        if key is None:
            raise ApiKeyNotFound
        return key

    async def revoke(self, caller: Caller, key_id: str, source: str | None) -> None:
        """The caller's own key, or anybody's where an administrator asks. Raises ApiKeyNotFound."""
        async with self._works.begin(source) as work:
            keys = ApiKeyRepository(work.session)
            if caller.allows("admin"):
                key = await keys.get_anybodys_live_locked(key_id)
            else:
                key = await keys.get_live_locked(caller.tenant_id, caller.subject, key_id)
            await keys.revoke(key)
            work.access.end_key(key.id)
            _note(work, Action.API_KEY_REVOKED, caller, key)


async def _hold(work: Work, caller: Caller) -> None:
    """Have the caller's session go on, and nobody else make a key of theirs, until the transaction ends.

    In the order in which whoever ends sessions, and with them keys, takes all three: a key that is made beside a reset
    of the password ends with the others, or is not made. Raises Unauthenticated for a session that has ended.
    """
    who = caller.tenant_id, caller.subject
    if caller.session_id and not await SessionRepository(work.session).hold_alive(*who, caller.session_id):
        raise Unauthenticated
    await ApiKeyRepository(work.session).lock_owner(caller.subject)
    await AccountRepository(work.session).get_principal(caller.subject, caller.tenant_id)


def _note(work: Work, action: Action, caller: Caller, key: ApiKey, **details: Any) -> None:
    work.note(action, by=caller, tenant_id=key.tenant_id, target=key.id, **details)
