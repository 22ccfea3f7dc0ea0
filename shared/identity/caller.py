"""What an access token says of its caller."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import MissingScope
from shared.identity.scopes import is_covered, narrowed
from shared.identity.subjects import key_subject, member_subject, session_subject, token_subject, user_subject

SERVICE_PREFIX = "service:"
"""How the `sub` of a token begins that stands for a service and for no user."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified identity. `token` is what to forward when calling another service for this caller."""

    subject: str
    tenant_id: str
    scopes: frozenset[str]
    token_id: str
    issued_at: float
    expires_at: float
    token: str
    actor: str | None = None
    session_id: str | None = None
    key_id: str | None = None

    @property
    def owner(self) -> str:
        """The user, unmistakable over all tenants."""
        return f"{self.tenant_id}:{self.subject}"

    def allows(self, scope: str, object_id: str | None = None) -> bool:
        """Whether `scope` was granted: for everything, or for the one object."""
        if scope in self.scopes:
            return True
        return is_covered(scope if object_id is None else narrowed(scope, object_id), self.scopes)

    def require(self, scope: str, object_id: str | None = None) -> None:
        """Raises MissingScope."""
        if not self.allows(scope, object_id):
            raise MissingScope(scope)

    @property
    def revocation_subjects(self) -> Iterator[str]:
        """Everything by which this token can be revoked (`shared.identity.revocations.Identified`)."""
        yield token_subject(self.token_id)
        yield user_subject(self.subject)
        yield member_subject(self.tenant_id, self.subject)
        if self.session_id:
            yield session_subject(self.session_id)
        if self.key_id:
            yield key_subject(self.key_id)


def caller_from(claims: Mapping[str, Any], token: str) -> Caller:
    actor = claims.get("act")
    return Caller(
        subject=str(claims["sub"]),
        tenant_id=str(claims["tid"]),
        scopes=frozenset(str(claims["scope"]).split()),
        token_id=str(claims["jti"]),
        issued_at=float(claims["iat"]),
        expires_at=float(claims["exp"]),
        token=token,
        actor=str(actor["sub"]) if isinstance(actor, Mapping) else None,
        session_id=claims.get("sid"),
        key_id=claims.get("key_id"),
    )
