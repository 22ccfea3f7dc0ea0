"""How the audit log tells of who was refused before anything was done."""

from typing import Any

from services.auth.errors import ApiKeyUnusable, InvitationRefused
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Works
from shared.errors import MissingScope, ServiceError
from shared.identity import Caller, TokenForged


class RefusalLog:
    """Who keeps what was refused (`services.auth.trust.in_person.Refusals`)."""

    def __init__(self, works: Works) -> None:
        self._works = works

    async def note(self, refused: ServiceError, by: Caller | None, source: str | None, **details: str) -> None:
        """An entry that says what was refused, to whom as far as they are known. Raises Unavailable."""
        action, named = _said(refused, by)
        await self._works.note(action, source=source, by=by, **named, **details)


def _said(refused: ServiceError, by: Caller | None) -> tuple[Action, dict[str, Any]]:
    """What the entry says of the refusal itself."""
    match refused:
        case TokenForged():
            return Action.TOKEN_FORGED, {"target": refused.key_id}
        case ApiKeyUnusable():
            named = {"target": refused.key_id, "tenant_id": refused.tenant_id, "reason": refused.reason}
            return Action.API_KEY_REFUSED, named
        case InvitationRefused():
            return Action.INVITATION_REFUSED, {}
        case _:
            action = Action.ACCESS_REFUSED if isinstance(refused, MissingScope) else Action.CREDENTIAL_REFUSED
            return action, {"target": (by.key_id or by.subject) if by else None}
