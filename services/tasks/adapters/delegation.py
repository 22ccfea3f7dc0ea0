"""Tokens by which the worker acts for the user who submitted a task, asked of auth."""

from cachetools import TTLCache

from services.tasks.domain import Claim
from services.tasks.errors import PermanentFailure
from shared.errors import ServiceError
from shared.identity import ServiceIdentity

# A token lives five minutes. Asking anew each minute is what cuts a disabled user off within one.
_REUSED_SECONDS = 60
_REFUSED = frozenset({"auth.delegation_refused"})


class DelegatedTokens:
    """Implements `worker.context.Tokens`."""

    def __init__(self, identity: ServiceIdentity) -> None:
        self._identity = identity
        self._tokens: TTLCache[tuple[str, ...], str] = TTLCache(maxsize=10_000, ttl=_REUSED_SECONDS)

    async def get(self, claim: Claim) -> str:
        key = _key(claim)
        if key not in self._tokens:
            token = await self._ask(claim)
            self._tokens[key] = token
            return token
        return self._tokens[key]

    def forget(self, claim: Claim) -> None:
        self._tokens.pop(_key(claim), None)

    async def _ask(self, claim: Claim) -> str:
        body = {"subject": claim.user_id, "tenant_id": claim.tenant_id, "scopes": claim.scopes}
        try:
            answer = await self._identity.call("POST", "/internal/tokens/delegate", json=body, idempotent=True)
        except ServiceError as error:
            if error.code in _REFUSED:
                detail = "The user who submitted this task may no longer act: disabled, or without the scopes it needs."
                raise PermanentFailure("tasks.user_not_allowed", detail) from error
            raise
        return str(answer["access_token"])


def _key(claim: Claim) -> tuple[str, ...]:
    return claim.tenant_id, claim.user_id, *claim.scopes
