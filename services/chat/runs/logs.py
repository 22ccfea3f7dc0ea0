"""How much the logs of runs may hold, and under which keys that is counted.

    chat:{tenant}:logs           hash, `user:run` to the bytes of its log, user to the sum of theirs, `bytes` to all
    chat:{tenant}:logs:until     sorted set, `user:run` by when its log will have expired in ms
    chat:{tenant:user}:logs      sorted set, the same of one user

A tenant's count lies in another slot than its users' keys, as with what is kept (`keeping.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.settings import Settings
from shared.errors import RateLimited, ServiceError, UpstreamFailed
from shared.redis import redis_errors

_MIB: Final = 2**20
_AGAIN_SECONDS: Final = 60


class RunsKeptTooMuch(RateLimited):
    """No older log is left to give way."""

    code = "chat.runs_kept_too_much"
    meaning = (
        "Runs of the user, or of the tenant, that go on, wait or have just ended, hold as many bytes of events as they "
        "may: cancel some, or try again after `Retry-After`."
    )

    def __init__(self, *, of_tenant: bool = False) -> None:
        whose = "this tenant" if of_tenant else "this user"
        super().__init__(
            f"The runs of {whose} that go on, or have just ended, hold as many events as they may.",
            retry_after_seconds=_AGAIN_SECONDS,
        )


class RunTooLong(UpstreamFailed):
    code = "chat.run_too_long"
    meaning = "What the model and its tools have told in the run is more than the events of one may hold (`RUN_MIB`)."
    default_detail = "The events of this run hold as much as those of one run may."


@dataclass(frozen=True, slots=True)
class LogLimits:
    """Bytes at most."""

    run: int = 4 * _MIB
    user: int = 32 * _MIB
    tenant: int = 96 * _MIB

    @classmethod
    def of(cls, settings: Settings) -> "LogLimits":
        return cls(settings.run_mib * _MIB, settings.runs_mib_user * _MIB, settings.runs_mib_tenant * _MIB)

    @property
    def arguments(self) -> list[Any]:
        """For scripts: of a run, a user, a tenant."""
        return [self.run, self.user, self.tenant]


LOG_REFUSALS: Final[dict[str, Callable[[], ServiceError]]] = {
    "run_too_long": RunTooLong,
    "runs_kept_too_much": RunsKeptTooMuch,
    "tenant_runs_kept_too_much": partial(RunsKeptTooMuch, of_tenant=True),
}
"""By the answer of the scripts that write logs."""


def require_room(answer: str) -> None:
    """Raises what a script answers that found no room for the log."""
    if refusal := LOG_REFUSALS.get(answer):
        raise refusal()


def logs_key(tenant_id: str) -> str:
    """The count of a tenant."""
    return f"chat:{{{tenant_id}}}:logs"


async def log_bytes(redis: Redis, owner: Owner) -> tuple[int, int]:
    """What the logs of the user's runs hold, and those of the tenant's. Raises Unavailable."""
    with redis_errors():
        found: Any = await redis.hmget(logs_key(owner.tenant_id), [owner.user_id, "bytes"])
    own, of_tenant = found
    return int(own or 0), int(of_tenant or 0)
