"""Tokens that a key, a user and a tenant may use up in a day: reserved before a run, settled with what it used.

chat:{tenant}:budget:<day>                 hash, see `budget_scripts.py`
chat:{tenant}:budget:<day>:ends            sorted set, run by when its reservation is given back
chat:{tenant}:budget:<day>:reservations    hash, run to what it reserved for whom, and has noted as used
chat:{tenant}:budget:run:<id>              text, the run is settled; as long as that may be tried again
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from services.chat.domain import Agent
from services.chat.errors import TokensUsedUp
from services.chat.images.domain import Image
from services.chat.models.choice import Chosen
from services.chat.prompt import tokens_around
from services.chat.settings import Settings
from services.chat.usage.budget_scripts import NOTE, RESERVE, SETTLE
from services.chat.usage.counts import GUARDED_SECONDS
from shared.ending import OUTLIVED
from shared.errors import Unavailable
from shared.identity import Caller
from shared.limits import tell_quota
from shared.redis import redis_errors

_log = logging.getLogger("chat.usage")
_DAY_SECONDS = 86_400
_KEPT_SECONDS = 2 * _DAY_SECONDS
_AFTER_RUN_SECONDS = 60.0  # for the end of a run to be stored and settled
_SOON_SECONDS = 5  # what is only reserved may be free again by then


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """Tokens of a day by whose they are, None where there is no budget, and how long a reservation lasts."""

    key: int | None
    user: int | None
    tenant: int | None
    held_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> "BudgetLimits":
        return cls(
            key=settings.tokens_per_day_key,
            user=settings.tokens_per_day_user,
            tenant=settings.tokens_per_day_tenant,
            held_seconds=settings.run_seconds * OUTLIVED + _AFTER_RUN_SECONDS,
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a run may use; `settle` puts what it did use in its place, once, and never raises.

    `note` tells what it has used so far, which counts where it is never settled. Raises Unavailable.
    """

    settle: Callable[[int], Awaitable[None]]
    note: Callable[[int], Awaitable[None]]

    @asynccontextmanager
    async def given_back_on_error(self) -> AsyncIterator[None]:
        """What is raised in the block has used nothing."""
        try:
            yield
        except BaseException:
            await self.settle(0)
            raise


async def _nothing(tokens: int) -> None:  # noqa: ARG001 - there is no budget
    return


class Budgets:
    """The budgets of one installation, shared by all replicas. Without any, nothing is asked of Redis."""

    def __init__(self, redis: Redis, limits: BudgetLimits) -> None:
        self.apply(limits)
        self._held_ms = round(limits.held_seconds * 1000)
        self._reserve, self._settle = redis.register_script(RESERVE), redis.register_script(SETTLE)
        self._note = redis.register_script(NOTE)

    def apply(self, limits: BudgetLimits) -> None:
        """Hold to these from now on; what is reserved stays so."""
        self._limits: Mapping[str, int | None] = {"key": limits.key, "user": limits.user, "tenant": limits.tenant}
        self._is_on = any(limit is not None for limit in self._limits.values())

    async def reserve(self, caller: Caller, run_id: str, tokens: int, *, waits_seconds: float = 0.0) -> Reservation:
        """A place for `tokens` in each budget that the caller uses. Raises TokensUsedUp; then nothing is reserved.

        It is given back when no run can go on any longer that has waited for so long before, be its process there or
        not, but for what that has noted as used. The answer to the request tells how much of each is left.
        """
        if not self._is_on:
            return Reservation(_nothing, _nothing)
        day, now_ms = datetime.now(UTC).date(), round(time.time() * 1000)
        subjects = self._subjects(caller)

        async def settle(used: int) -> None:
            await self._settled(caller.tenant_id, day, run_id, used, list(subjects))

        async def note(used: int) -> None:
            with redis_errors():
                await self._note(keys=_keys(caller.tenant_id, day)[2:], args=[run_id, used])

        ends_at_ms = now_ms + self._held_ms + round(waits_seconds * 1000)
        flat = [part for name, limit in subjects.items() for part in (name, "" if limit is None else limit)]
        try:
            with redis_errors():
                refused, is_held, *counted = await self._reserve(
                    keys=_keys(caller.tenant_id, day),
                    args=[now_ms, ends_at_ms, run_id, tokens, _KEPT_SECONDS, *flat],
                )
        except asyncio.CancelledError:  # Redis may have heard of it
            await settle(0)
            raise
        _tell(subjects, counted)
        if refused:
            kind = _kind(refused.decode())
            raise TokensUsedUp(kind, self._limits[kind] or 0, _SOON_SECONDS if is_held else _until_midnight())
        return Reservation(settle, note)

    def _subjects(self, caller: Caller) -> dict[str, int | None]:
        """Whose budgets are charged, the narrowest first, and what each may use."""
        key = {f"key:{caller.key_id}": self._limits["key"]} if caller.key_id else {}
        return key | {f"user:{caller.subject}": self._limits["user"], "tenant": self._limits["tenant"]}

    async def _settled(self, tenant_id: str, day: date, run_id: str, used: int, subjects: list[str]) -> None:
        guard = f"chat:{{{tenant_id}}}:budget:run:{run_id}"
        arguments: list[Any] = [run_id, used, _KEPT_SECONDS, GUARDED_SECONDS, *subjects]
        try:
            with redis_errors():
                await self._settle(keys=[*_keys(tenant_id, day), guard], args=arguments)
        except Unavailable as error:  # it is given back in time, and what was used goes uncounted
            _log.warning("not settled", extra={"fields": {"run_id": run_id, "cause": repr(error.__cause__)}})


def _tell(subjects: Mapping[str, int | None], counted: Sequence[int]) -> None:
    """Have the answer tell of each budget what nobody has used or reserved."""
    for (subject, limit), count in zip(subjects.items(), counted, strict=True):
        if limit is not None:
            name, left = f"tokens-{_kind(subject)}", max(0, limit - count)
            tell_quota(name, limit, _DAY_SECONDS, unit="tokens", remaining=left, resets_in_seconds=_until_midnight())


def _kind(subject: str) -> str:
    return subject.partition(":")[0]


def tokens_at_most(
    agent: Agent, content: str, chosen: Chosen, *, has_history: bool, images: Sequence[Image] = ()
) -> int:
    """About what one generation takes at most: the message with all that may stand around it, and the answer.

    With that of a summary of earlier turns, where the agent asks for one.
    """
    answer = chosen.model.limits.answer_tokens
    summary = chosen.budget.total // 2 + answer if agent.summarises and has_history else 0
    prompt = tokens_around(agent, content, chosen.budget, images)
    prompt += chosen.budget.sources if agent.knowledge else 0
    prompt += chosen.budget.history if has_history else 0
    return min(prompt, chosen.budget.total) + answer + summary


def _keys(tenant_id: str, day: date) -> list[str]:
    numbers = f"chat:{{{tenant_id}}}:budget:{day.isoformat()}"
    return [numbers, f"{numbers}:ends", f"{numbers}:reservations"]


def _until_midnight() -> int:
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    return max(1, round((midnight - now).total_seconds()))
