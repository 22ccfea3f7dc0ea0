"""Kinds that fail, take long and misbehave on demand."""

import asyncio
from collections import defaultdict
from typing import Any

from pydantic import Field

from services.tasks.domain import LogLevel
from services.tasks.errors import PermanentFailure
from services.tasks.kinds.kind import Context, Kind
from services.tasks.kinds.registry import BUILT_IN, KindRegistry
from shared.errors import Relayed, UpstreamFailed
from shared.schemas import RequestModel


class SleepInput(RequestModel):
    """`attempts` of them sleep for `seconds`; those after return at once."""

    seconds: float = Field(default=3600, ge=0)
    attempts: int = Field(default=100, ge=0)


async def _sleep(context: Context, given: SleepInput) -> dict[str, Any]:
    context.progress(1, 2, "sleeping")
    if context.attempt <= given.attempts:
        await asyncio.sleep(given.seconds)
    context.progress(2, 2, "woken")
    return {"attempt": context.attempt}


async def _stubborn(context: Context, given: SleepInput) -> dict[str, Any]:
    """Goes on after it was told to stop."""
    try:
        await asyncio.sleep(given.seconds)
    except asyncio.CancelledError:
        await asyncio.sleep(given.seconds)
    context.progress(2, 2, "too late")
    return {"attempt": context.attempt}


class FailInput(RequestModel):
    """Fails until attempt number `failures` has failed too."""

    failures: int = Field(default=1000, ge=0)
    how: str = "later"


async def _fail(context: Context, given: FailInput) -> dict[str, Any]:
    if context.attempt > given.failures:
        return {"attempt": context.attempt}
    match given.how:
        case "later":
            raise UpstreamFailed
        case "absent":
            raise Relayed(503, "elsewhere.unavailable", "Unavailable", "Not now.", headers={"Retry-After": "0"})
        case "halfway":
            context.progress(context.attempt)
            raise UpstreamFailed
        case "stuck":
            context.progress(1)
            raise UpstreamFailed
        case "never":
            raise PermanentFailure("test.hopeless", "Trying again cannot help.")
        case _:
            raise RuntimeError("secret inside of a handler")


async def _token(context: Context, _given: RequestModel) -> dict[str, Any]:
    answer = await context.call("auth", "GET", "/api/v1/auth/me")
    return {"user_id": answer.json()["id"]}


RELEASED: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
"""By the name that is held: when to let it go, in the process of the test."""


class SayInput(RequestModel):
    """Says `lines` lines and fails after it, `failures` times."""

    lines: int = Field(default=1, ge=0)
    failures: int = Field(default=0, ge=0)
    seconds: float = Field(default=0, ge=0)


async def _say(context: Context, given: SayInput) -> dict[str, Any]:
    for n in range(given.lines):
        context.log(f"line {n}\x00", level=LogLevel.DEBUG)
    await asyncio.sleep(given.seconds)
    if context.attempt <= given.failures:
        raise UpstreamFailed
    context.log("y" * 3000, level=LogLevel.WARNING)
    return {}


class HoldInput(RequestModel):
    """Has `name` to itself until it is released, or fails meanwhile."""

    name: str
    waits: bool = False
    fails: str | None = None


async def _hold(context: Context, given: HoldInput) -> dict[str, Any]:
    async with context.holding([given.name]):
        context.progress(1, 2)
        if given.waits:
            await RELEASED[given.name].wait()
        if given.fails is not None:
            raise PermanentFailure("test.hopeless", "No.") if given.fails == "never" else UpstreamFailed
    return {}


TRACES: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
"""By name: which number entered and left, in the order in which they did."""


class TraceInput(RequestModel):
    """Enters and leaves under `name`, with what it is to come to."""

    name: str
    number: int
    fails: bool = False


async def _trace(_context: Context, given: TraceInput) -> dict[str, Any]:
    TRACES[given.name].append(("entered", given.number))
    await asyncio.sleep(0.001)
    TRACES[given.name].append(("left", given.number))
    if given.fails:
        raise PermanentFailure("test.hopeless", "No.")
    return {}


TAKEN_AWAY: list[str] = []
"""The tasks whose leavings were taken away."""


async def _take_away(context: Context, _given: FailInput) -> None:
    TAKEN_AWAY.append(context.task_id)


LEAVE = Kind(
    name="test.leave", description="Leaves something behind.", input_model=FailInput, run=_fail, give_up=_take_away
)
TRACE = Kind(name="test.trace", description="Leaves a trace.", input_model=TraceInput, run=_trace)
SLEEP = Kind(name="test.sleep", description="Sleeps.", input_model=SleepInput, run=_sleep, beyond_share=True)
STUBBORN = Kind(name="test.stubborn", description="Does not stop.", input_model=SleepInput, run=_stubborn)
FAIL = Kind(name="test.fail", description="Fails.", input_model=FailInput, run=_fail)
WHO_AM_I = Kind(name="test.whoami", description="Acts as the user.", input_model=RequestModel, run=_token)
LARGE = Kind(
    name="test.large",
    description="Returns too much.",
    input_model=RequestModel,
    run=lambda _context, _given: asyncio.sleep(0, {"text": "x" * 5000}),
)
HOLD = Kind(name="test.hold", description="Has a name to itself.", input_model=HoldInput, run=_hold)
SAY = Kind(name="test.say", description="Writes a log.", input_model=SayInput, run=_say)
TEST_KINDS = KindRegistry([*BUILT_IN.list(), SAY, HOLD, LEAVE, TRACE, SLEEP, STUBBORN, FAIL, WHO_AM_I, LARGE])
