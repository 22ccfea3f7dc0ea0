"""What administrators of the installation do about users."""

from dataclasses import astuple
from datetime import UTC, datetime

from services.auth.administration.repository import UserRepository
from services.auth.administration.schemas import UserFilters, UserRead
from services.auth.entry.sessions.repository import SessionRepository
from services.auth.errors import OwnAccount
from services.auth.models import User
from services.auth.people.passwords.throttle import Throttle, by_account
from services.auth.trust.work import Work
from shared.identity import Caller
from shared.resources import CursorCodec, Page, cut


class UserAdministration:
    def __init__(self, work: Work, cursors: CursorCodec) -> None:
        self._work, self._cursors = work, cursors
        self._users = UserRepository(work.session)

    async def list_page(self, filters: UserFilters, limit: int, cursor: str | None) -> Page[UserRead]:
        """Newest first. Raises Invalid for a cursor of other filters."""
        scope = ["users", *astuple(filters)]
        position = self._cursors.decode(cursor, scope=scope)
        rows = await self._users.list_newest(filters, after=position[0] if position else None, limit=limit + 1)
        page, last = cut(rows, limit)
        next_cursor = self._cursors.encode([last.id], scope=scope) if last else None
        return Page(items=[UserRead.model_validate(row) for row in page], next_cursor=next_cursor)

    async def get(self, user_id: str) -> User:
        """Raises UserNotFound."""
        return await self._users.get(user_id)

    async def disable(self, caller: Caller, user_id: str) -> User:
        """Lock the user out: no login, and nothing they hold is worth anything. Raises UserNotFound, OwnAccount."""
        if user_id == caller.subject:
            raise OwnAccount
        user = await self._users.get_locked(user_id)
        if user.disabled_at is None:
            await self._users.set_disabled(user, datetime.now(UTC))
            # Sessions first: a refresh under way is waited for, and its token is older than the revocation.
            await SessionRepository(self._work.session).end_others(user.id, None)
            self._work.access.end_user(user.id)
            self._note("user.disabled", caller, user)
        return user

    async def enable(self, caller: Caller, user_id: str) -> User:
        """Let the user log in again; what ended stays ended, API keys work again. Raises UserNotFound."""
        user = await self._users.get_locked(user_id)
        if user.disabled_at is not None:
            await self._users.set_disabled(user, None)
            self._note("user.enabled", caller, user)
        return user

    async def unlock(self, caller: Caller, user_id: str) -> None:
        """Forget the user's failed logins, so that the next one is tried at once. Raises UserNotFound."""
        user = await self._users.get(user_id)
        had_failures = await Throttle(self._work.session).clear(by_account(user.email))
        self._note("user.unlocked", caller, user, had_failures=had_failures)

    def _note(self, action: str, caller: Caller, user: User, **details: object) -> None:
        self._work.note(action, actor=caller.subject, tenant_id=user.tenant_id, target=user.id, **details)
