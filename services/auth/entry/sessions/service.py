"""Logging out."""

from services.auth.entry.sessions.ending import SessionEnder
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Works
from shared.identity import Caller


class SessionService:
    def __init__(self, works: Works) -> None:
        self._works = works

    async def log_out(self, caller: Caller, source: str | None) -> None:
        """End what the caller acts with: the session, or the token alone where it belongs to none."""
        async with self._works.begin(source) as work:
            if caller.session_id:
                await SessionEnder(work).end(caller.subject, caller.tenant_id, caller.session_id)
            else:
                work.access.end_token(caller.token_id)
                work.note(Action.TOKEN_REVOKED, by=caller, target=caller.token_id)
