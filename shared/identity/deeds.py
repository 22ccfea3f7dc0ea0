"""What is done in other services and belongs into auth's audit log: its shape, and the queue auth hears it from."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel

from shared.identity.caller import Caller
from shared.messages import EVENTS_EXCHANGE, declare_dead_letters, declare_events, declare_queue

DEED_DONE: Final = "deed.done.v1"
TOKEN_FORGED: Final = "token.forged"  # noqa: S105 - a name
ACCESS_REFUSED: Final = "access.refused"
DEEDS_QUEUE: Final = "auth.deeds"
_DEAD: Final = "auth.dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Somebody did something, or was refused it: ids and numbers, nothing that they wrote."""

    action: str
    """One that auth knows (`services.auth.trust.audit.actions`)."""
    actor: str | None
    """None where nobody is known: nothing is believed that a forged token says."""
    tenant_id: str | None
    target: str | None
    source: str | None = None
    """The address it came from; told of refusals alone."""
    act: str | None = None
    """The service that did it for the actor."""
    key_id: str | None = None
    """The API key that they did it with."""
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    details: dict[str, int | str] = field(default_factory=dict)
    times: int = 1
    """How often it was."""

    @property
    def body(self) -> dict[str, Any]:
        """As it is published."""
        return asdict(self)


def deed(by: Caller, action: str, target: str, **details: int | str) -> Deed:
    """What `by` does to `target` now."""
    return Deed(
        action=action,
        actor=by.subject,
        tenant_id=by.tenant_id,
        target=target,
        act=by.actor,
        key_id=by.key_id,
        details=details,
    )


async def declare_deeds(channel: AbstractChannel) -> None:
    """The queue, by whoever publishes or hears: what is told before auth ever started waits for it."""
    await declare_events(channel)
    exchange = await channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
    dead = await channel.declare_exchange(_DEAD, ExchangeType.FANOUT, durable=True)
    await declare_dead_letters(channel, _DEAD, exchange=dead)
    await declare_queue(channel, DEEDS_QUEUE, exchange=exchange, routing_key=DEED_DONE, dead_letters=dead)
