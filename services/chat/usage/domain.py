"""Usage in groups."""

from dataclasses import dataclass, field
from datetime import date

from services.chat.usage.counts import STATES, Count
from shared.words import Word

NANOS = 10**9


class GroupBy(Word):
    """By what usage is put together."""

    DAY = "day"
    AGENT = "agent"
    MODEL = "model"
    KEY = "key"
    USER = "user"


class Whose(Word):
    """One's own usage, or all of the tenant's."""

    OWN = "own"
    TENANT = "tenant"


@dataclass(slots=True)
class Row:
    """One group: `group` is its day, or the id or name that it has in common."""

    group: str | None
    numbers: dict[str, int] = field(default_factory=dict)

    def add(self, count: Count) -> None:
        self.numbers[count.metric] = self.numbers.get(count.metric, 0) + count.amount

    def of(self, metric: str) -> int:
        return self.numbers.get(metric, 0)

    @property
    def runs(self) -> int:
        return sum(self.of(state) for state in STATES)

    @property
    def tokens(self) -> int:
        return self.of("prompt_tokens") + self.of("completion_tokens")

    @property
    def cost(self) -> float | None:
        """None where no price was known of anything in it."""
        nanos = self.numbers.get("cost_nanos")
        return None if nanos is None else nanos / NANOS

    @property
    def first_token_ms(self) -> float | None:
        times = self.of("first_tokens")
        return round(self.of("first_token_ms") / times, 1) if times else None

    @property
    def duration_ms(self) -> float | None:
        return round(self.of("duration_ms") / self.runs, 1) if self.runs else None


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of some days, by groups; `is_truncated` where there are more than are shown. `kept_bytes` is what
    conversations hold now, of at most `kept_bytes_limit` where there is a limit."""

    first: date
    last: date
    group_by: GroupBy
    rows: list[Row]
    is_truncated: bool
    kept_bytes: int
    kept_bytes_limit: int | None


def group_of(by: GroupBy, day: date, user_id: str, count: Count) -> str | None:
    """What a count has in common with the others of its group; None is no key, or unknown."""
    match by:
        case GroupBy.DAY:
            return day.isoformat()
        case GroupBy.USER:
            return user_id
        case GroupBy.AGENT:
            return count.source.agent_id or None
        case GroupBy.MODEL:
            return count.source.model or None
        case GroupBy.KEY:
            return count.source.key_id
