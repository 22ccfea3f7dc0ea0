"""What auth publishes. Every service hears it (`shared.identity.ACCESS_EVENTS`), and then asks what has changed."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from sqlalchemy.ext.asyncio import AsyncSession

from shared.messages import EVENTS_EXCHANGE
from shared.postgres import Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRevoked:
    """A token, session, key, member or user lost its access (`shared.identity.Revocation`)."""

    name: ClassVar[str] = "access.revoked.v1"

    subject: str
    issued_until: float | None
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyPublished:
    """A key that will sign soon."""

    name: ClassVar[str] = "signing_key.published.v1"

    key_id: str


Event = AccessRevoked | SigningKeyPublished


def publish(outbox: Outbox, session: AsyncSession, event: Event) -> None:
    """Together with the change that is its reason; who commits notifies the outbox."""
    outbox.add(session, exchange=EVENTS_EXCHANGE, routing_key=event.name, body=asdict(event))
