"""What a process takes of the settings that it is told while it runs."""

from typing import Any

import pytest

from services.chat.settings import Settings
from shared.discovery import Kept
from shared.errors import NotFound, Unavailable
from shared.health import Finding
from shared.live import KEPT_KEY, Change, ChangeNames, LiveSettings
from shared.settings import ServiceSettings

NAMES = ("log_level", "rate_limit_read", "tokens_per_day_user", "llm_model")


class Process:
    """Its settings, and what was applied of them."""

    def __init__(self) -> None:
        self.told: list[Change] = []
        self.applied: list[tuple[Any, ...]] = []
        self.refuses: Exception | None = None
        given: dict[str, Any] = {
            "redis_url": "redis://x",
            "rabbitmq_url": "amqp://x",
            "cursor_secret": "c" * 32,
            "client_secret": "s" * 32,
        }
        settings = Settings(environment="local", llm_url="http://llm", llm_model="small", **given)
        self.live = LiveSettings(settings, self.told.append)

    async def apply(self, settings: ServiceSettings) -> None:
        if self.refuses:
            raise self.refuses
        self.applied.append(tuple(getattr(settings, name) for name in NAMES))

    async def take(self, **values: str) -> None:
        entries = [Kept(name, value.encode(), 7) for name, value in values.items()]
        await self.live.take([Kept(KEPT_KEY, b"1", 1), *entries])


@pytest.fixture
async def process() -> Process:
    made = Process()
    await made.live.follow(made.apply, *NAMES)
    return made


async def test_what_is_told_is_applied_once(process: Process) -> None:
    for _ in range(2):
        await process.take(rate_limit_read="5/minute", tokens_per_day_user="100")

    assert process.applied == [("INFO", "5/minute", None, "small"), ("INFO", "5/minute", 100, "small")]
    assert process.told == [Change("rate_limit_read", "5/minute", 7), Change("tokens_per_day_user", "100", 7)]
    await process.live.check()


async def test_what_is_taken_away_is_as_in_the_environment(process: Process) -> None:
    await process.take(log_level="DEBUG")
    await process.take()

    assert [one[0] for one in process.applied] == ["DEBUG", "INFO"]
    assert process.told[-1] == Change("log_level", None, 1)


async def test_a_lost_store_into_which_somebody_writes_a_key_takes_no_other_away(process: Process) -> None:
    await process.take(rate_limit_read="5/minute", tokens_per_day_user="100")
    await process.live.take([Kept("log_level", b"DEBUG", 1)])

    assert process.applied[-1] == ("DEBUG", "5/minute", 100, "small")


async def test_no_budget_can_be_told(process: Process) -> None:
    await process.take(tokens_per_day_user="100")
    await process.take(tokens_per_day_user="none")

    assert [one[2] for one in process.applied] == [100, None]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_level", "LOUD"),
        ("rate_limit_read", "0/minute"),
        ("rate_limit_read", "1/minute; 2/hour"),
        ("rate_limit_read", "none"),
        ("tokens_per_day_user", "0"),
        ("tokens_per_day_user", "99999999999999"),
        ("llm_model", "x" * 300),
        ("log_level", ""),
        ("log_level", "DEBUG\nINFO"),
    ],
)
async def test_what_may_not_be_leaves_what_was(process: Process, name: str, value: str) -> None:
    before = {"log_level": "DEBUG", "rate_limit_read": "9/minute", "tokens_per_day_user": "9", "llm_model": "big"}
    await process.take(**before)
    applied = list(process.applied)

    await process.take(**before | {name: value})

    assert process.applied == applied
    with pytest.raises(Finding, match=name) as finding:
        await process.live.check()
    assert len(value) < 3 or value not in finding.value.found
    await process.take(**before)
    await process.live.check()


@pytest.mark.parametrize("name", ["redis_url", "environment", "llm_url", "nothing", "sub/log_level"])
async def test_nothing_else_can_be_changed(process: Process, name: str) -> None:
    await process.live.take([Kept(name, b"production", 1)])

    with pytest.raises(Finding, match="changes while it runs"):
        await process.live.check()
    assert process.applied == []


async def test_what_the_process_refuses_is_not_applied(process: Process) -> None:
    process.refuses = NotFound("no such model")
    await process.take(llm_model="nobody-has-it")

    assert (process.told, process.live.current.llm_model) == ([], "small")  # type: ignore[attr-defined]
    with pytest.raises(Finding, match="no such model"):
        await process.live.check()


async def test_what_cannot_be_judged_now_is_tried_again(process: Process) -> None:
    process.refuses = Unavailable("model")
    with pytest.raises(Unavailable):
        await process.take(llm_model="big")
    process.refuses = None
    await process.take(llm_model="big")

    assert process.told == [Change("llm_model", "big", 7)]


async def test_what_cannot_be_judged_now_holds_up_no_other() -> None:
    """As a model whose provider is away, and a limit that is to be lowered meanwhile."""
    process = Process()

    async def asks_in_vain(_: ServiceSettings) -> None:
        raise Unavailable("model")

    await process.live.follow(process.apply, "rate_limit_read", "tokens_per_day_user")
    await process.live.follow(asks_in_vain, "llm_model")
    with pytest.raises(Unavailable):
        await process.take(rate_limit_read="5/minute", llm_model="big", tokens_per_day_user="100")

    assert process.applied[-1] == ("INFO", "5/minute", 100, "small")


async def test_what_was_refused_is_taken_once_the_reason_has_gone(process: Process) -> None:
    process.refuses = NotFound("no such model")
    await process.take(llm_model="big")
    process.refuses = None
    await process.take(llm_model="big")

    assert process.told == [Change("llm_model", "big", 7)]
    await process.live.check()


async def test_a_process_starts_though_what_judges_a_value_is_away() -> None:
    process = Process()
    process.refuses = Unavailable("model")
    await process.take(llm_model="big")
    await process.live.follow(process.apply, "llm_model")
    process.refuses = None
    await process.take(llm_model="big")

    assert process.told == [Change("llm_model", "big", 7)]


async def test_who_follows_later_hears_what_was_told_before() -> None:
    process = Process()
    await process.take(log_level="DEBUG")
    await process.live.follow(process.apply, "log_level")

    assert process.told == [Change("log_level", "DEBUG", 7)]


def test_changes_are_called_alike_in_replicas_and_unlike_each_other() -> None:
    old, new = ChangeNames(), ChangeNames()
    changes = [
        Change("log_level", "INFO", 6),
        Change("log_level", "DEBUG", 7),
        Change("log_level", None, 1),
        Change("log_level", "DEBUG", 9),
        Change("log_level", None, 1),
        Change("rate_limit_read", "5/minute", 9),
    ]
    of_old = [old.name(change) for change in changes]

    assert [new.name(change) for change in changes[1:]] == of_old[1:]
    assert len(set(of_old)) == len(changes)
