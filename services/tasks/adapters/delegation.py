"""Tokens by which the worker acts for the user who submitted a task, asked of auth.

Asking is also how the worker learns whether the authority of a task still holds: auth gives none for a user, a key or a
session that has ended, and what it gave before is revoked with them.
"""

from typing import Protocol

from cachetools import TTLCache

from services.tasks.domain import AUTHORITY_ENDED
from services.tasks.errors import PermanentFailure
from shared.errors import ServiceError, Unauthenticated, Unavailable
from shared.identity import ServiceIdentity, TokenVerifier

# A token lives five minutes. Asking anew each minute is what ends an authority within one, whatever was not heard of.
_REUSED_SECONDS = 60
_REFUSED = frozenset({"auth.delegation_refused"})
_NOT_UNDERSTOOD = 422
_ENDED = (
    "What this task was submitted with no longer allows it: the user was disabled, left the tenant or lost a scope, or "
    "the API key or the session was revoked, logged out or has expired."
)


class Authority(Protocol):
    """For whom something is done, and with which credential: a task, or what a webhook is told."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def scopes(self) -> list[str]: ...
    @property
    def key_id(self) -> str | None: ...
    @property
    def session_id(self) -> str | None: ...


class DelegatedTokens:
    """Implements `worker.context.Tokens` and `webhooks.delivering.Tokens`."""

    def __init__(self, identity: ServiceIdentity, verifier: TokenVerifier) -> None:
        self._identity, self._verifier = identity, verifier
        self._tokens: TTLCache[tuple[str, ...], str] = TTLCache(maxsize=10_000, ttl=_REUSED_SECONDS)

    async def get(self, claim: Authority) -> str:
        key = _key(claim)
        token = self._tokens.get(key)
        if token is None or not await self._is_good(token):
            token = self._tokens[key] = await self._ask(claim)
        return token

    def forget(self, claim: Authority) -> None:
        self._tokens.pop(_key(claim), None)

    async def _is_good(self, token: str) -> bool:
        """Whether it is neither over nor revoked; nobody is asked."""
        try:
            await self._verifier.verify(token)
        except Unauthenticated:
            return False
        return True

    async def _ask(self, claim: Authority) -> str:
        body = {
            "subject": claim.user_id,
            "tenant_id": claim.tenant_id,
            "scopes": claim.scopes,
            "key_id": claim.key_id,
            "session_id": claim.session_id,
        }
        try:
            answer = await self._identity.call("POST", "/internal/tokens/delegate", json=body, idempotent=True)
        except ServiceError as error:
            if error.code in _REFUSED:
                raise PermanentFailure(AUTHORITY_ENDED, _ENDED) from error
            if error.status == _NOT_UNDERSTOOD:  # an auth of an earlier version: not the task's fault
                raise Unavailable("auth") from error
            raise
        return str(answer["access_token"])


def _key(claim: Authority) -> tuple[str, ...]:
    return claim.tenant_id, claim.user_id, claim.key_id or "", claim.session_id or "", *claim.scopes
