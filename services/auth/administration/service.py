"""What administrators of the installation do about users."""

from dataclasses import astuple
from datetime import UTC, datetime
from functools import partial
from typing import Any

from services.auth.administration.repository import UserRepository
from services.auth.administration.schemas import UserFilters
from services.auth.entry.sessions.repository import SessionRepository
from services.auth.errors import OwnAccount, UserDisplaced
from services.auth.models import User
from services.auth.people.passwords.throttle import Throttle, by_account
from services.auth.trust.audit.actions import Action
from services.auth.trust.audit.entries import acting
from services.auth.trust.work import Work, Works
from shared.identity import Caller
from shared.resources import CursorCodec, Slice


class UserService:
    def __init__(self, works: Works, cursors: CursorCodec) -> None:
        self._works, self._cursors = works, cursors

    async def list_page(
        self, caller: Caller, filters: UserFilters, limit: int, cursor: str | None, source: str | None
    ) -> Slice[User]:
        """Newest first. Raises Invalid for a cursor of other filters."""
        async with self._works.begin() as work:
            page = await self._cursors.slice(
                partial(UserRepository(work.session).list_newest, filters),
                key=lambda user: user.id,
                scope=["users", *astuple(filters)],
                limit=limit,
                cursor=cursor,
            )
        await self._works.note(Action.USER_LISTED, source=source, actor=caller.subject, **acting(caller))
        return page

    async def get(self, caller: Caller, user_id: str, source: str | None) -> User:
        """Raises UserNotFound."""
        async with self._works.begin() as work:
            user = await UserRepository(work.session).get(user_id)
        await self._works.note(Action.USER_READ, source=source, by=caller, tenant_id=user.tenant_id, target=user.id)
        return user

    async def disable(self, caller: Caller, user_id: str, source: str | None) -> User:
        """Lock the user out: no login, and nothing they hold is worth anything. Raises UserNotFound, OwnAccount."""
        if user_id == caller.subject:
            raise OwnAccount
        async with self._works.begin(source) as work:
            users, sessions = UserRepository(work.session), SessionRepository(work.session)
            # Sessions first, as a refresh takes them: one under way is waited for, and its token is older than the
            # revocation. Then, while the user is locked, those that began meanwhile.
            await sessions.end_others(user_id, None)
            user = await users.get_locked(user_id)
            if user.disabled_at is None:
                await users.set_disabled(user, datetime.now(UTC))
                await sessions.end_others(user.id, None)
                work.access.end_user(user.id)
                _note(work, Action.USER_DISABLED, caller, user)
            return user

    async def enable(self, caller: Caller, user_id: str, source: str | None) -> User:
        """Let the user log in again; what ended stays ended, API keys work again.

        Raises UserNotFound, UserDisplaced.
        """
        async with self._works.begin(source) as work:
            users = UserRepository(work.session)
            user = await users.get_locked(user_id)
            if user.is_displaced:
                raise UserDisplaced
            if user.disabled_at is not None:
                await users.set_disabled(user, None)
                _note(work, Action.USER_ENABLED, caller, user)
            return user

    async def unlock(self, caller: Caller, user_id: str, source: str | None) -> None:
        """Forget the user's failed logins, so that the next one is tried at once. Raises UserNotFound."""
        async with self._works.begin(source) as work:
            user = await UserRepository(work.session).get(user_id)
            had_failures = await Throttle(work.session).clear(by_account(user.email))
            _note(work, Action.USER_UNLOCKED, caller, user, had_failures=had_failures)


def _note(work: Work, action: Action, caller: Caller, user: User, **details: Any) -> None:
    work.note(action, by=caller, tenant_id=user.tenant_id, target=user.id, **details)
