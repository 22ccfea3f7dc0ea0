"""Ending sessions, inside the work that is the reason for it."""

from services.auth.entry.sessions.repository import SessionRepository
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Work


class SessionEnder:
    """What ends here is written and noted with `work`; no token is made, so none is needed to make one."""

    def __init__(self, work: Work) -> None:
        self._work, self._sessions = work, SessionRepository(work.session)

    async def end(
        self, user_id: str, tenant_id: str, session_id: str, *, action: Action = Action.SESSION_ENDED
    ) -> None:
        """End a session: its refresh tokens work no more, its access tokens within seconds."""
        if await self._sessions.end(session_id):
            self.tell(user_id, tenant_id, session_id, action=action)

    def tell(self, user_id: str, tenant_id: str, session_id: str, *, action: Action = Action.SESSION_ENDED) -> None:
        """Have all hear of a session that this work has ended."""
        self._work.access.end_session(session_id)
        self._work.note(action, actor=user_id, tenant_id=tenant_id, target=session_id)

    async def end_others(self, user_id: str, kept_session_id: str | None) -> None:
        """End every session of the user but the one they are using."""
        for session_id in await self._sessions.end_others(user_id, kept_session_id):
            self._work.access.end_session(session_id)

    async def end_by_refresh_token(self, refresh_token: str, *, action: Action = Action.SESSION_ENDED) -> None:
        """End the session a refresh token belongs to, whatever its state."""
        if link := await self._sessions.find_locked(refresh_token):
            await self.end(link.session.user_id, link.session.tenant_id, link.session.id, action=action)
