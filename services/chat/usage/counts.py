"""How usage lies in Redis: a hash for each user and day, in the slot of the user's other keys, and who has one.

    chat:{tenant:user}:usage:<day>        hash, `metric␟agent␟key␟model` to a number; `-` for no key
    chat:{tenant:user}:usage:run:<id>     text, the run is counted; as long as its end may be tried again
    chat:{tenant}:usage:<day>:users       set, users who have a hash of that day

A run is counted in the script that ends it, so once, and what it used until it waits in the one that lays it down. What
it has used so far is noted with it meanwhile, for the one that ends it where its process is gone.
What has too many fields goes on without agent, key and model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import orjson

from services.chat.domain import Owner, Turn
from services.chat.usage.meter import Meter

KEPT_SECONDS: Final = 400 * 86_400
GUARDED_SECONDS: Final = 600
_BETWEEN = "\x1f"
_NO_KEY = "-"
STATES: Final = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Source:
    """What used it; empty texts where a day had too many different ones."""

    agent_id: str
    key_id: str | None
    model: str


@dataclass(frozen=True, slots=True)
class Count:
    """One number of a day's hash."""

    metric: str
    source: Source
    amount: int


def usage_key(owner: Owner, day: date) -> str:
    return f"chat:{{{owner.tenant_id}:{owner.user_id}}}:usage:{day.isoformat()}"


def users_key(tenant_id: str, day: date) -> str:
    return f"chat:{{{tenant_id}}}:usage:{day.isoformat()}:users"


def counted_key(owner: Owner, run_id: str) -> str:
    return f"chat:{{{owner.tenant_id}:{owner.user_id}}}:usage:run:{run_id}"


def day_of(turn: Turn) -> date:
    """The day in UTC on which the turn began, which is the one it counts for."""
    return turn.question.created_at.astimezone(UTC).date()


def today() -> date:
    return datetime.now(UTC).date()


def counts_of(turn: Turn, meter: Meter | None) -> bytes:
    """What the run used since it went on last, as JSON for the script that ends it, lays it down or notes it:
    `[suffix of the run, [[metric, suffix, number], …]]`."""
    meter = meter or Meter()
    run = _suffix(turn, meter.all[-1].model if meter.all else turn.model)
    entries = [["duration_ms", run, str(meter.worked_ms)]]
    for one in meter.measured:
        suffix = _suffix(turn, one.model)
        numbers = {
            "prompt_tokens": one.prompt_tokens,
            "completion_tokens": one.completion_tokens,
            "cost_nanos": one.cost_nanos,
            "first_token_ms": one.first_token_ms,
            "first_tokens": None if one.first_token_ms is None else 1,
        }
        entries += [[name, suffix, str(number)] for name, number in numbers.items() if number is not None]
    return orjson.dumps([run, entries])


def counts_from(stored: Mapping[Any, Any]) -> Iterator[Count]:
    """A day's hash as it was read."""
    for name, amount in stored.items():
        metric, agent_id, key_id, model = name.decode().split(_BETWEEN, 3)
        yield Count(metric, Source(agent_id, None if key_id in ("", _NO_KEY) else key_id, model), int(amount))


def _suffix(turn: Turn, model: str) -> str:
    return _BETWEEN.join((turn.agent.id, turn.key_id or _NO_KEY, model))
