"""Several users at work at once, and a newcomer who tells when everything works again."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

from local.suite import Suite
from tests.faults.answers import Caller, GaveUp, Tally, Unanswered
from tests.faults.ledger import Findings
from tests.faults.trade_account import Account
from tests.faults.trade_agents import Agents
from tests.faults.trade_chat import Chat
from tests.faults.trade_tasks import ENGINES, Tasks
from tests.faults.trade_vectors import Vectors
from tests.faults.trades import Trade
from tests.fixtures.http import authorities
from tests.fixtures.identity import User, register_with
from tests.fixtures.inside import client_of
from tests.fixtures.working_time import working_time

USERS: Final = 3
_PAUSE_SECONDS: Final = (0.2, 0.8)
_RECOVERY_SECONDS: Final = 60.0
_DRAIN_SECONDS: Final = 150.0


@dataclass
class Load:
    """Work that goes on until `finish`, and one more of each kind to ask whether all of it succeeds."""

    trades: Sequence[Trade]
    newcomers: Sequence[Trade]
    tally: Tally
    _over: bool = False
    _at_work: list[asyncio.Task[None]] = field(default_factory=list)

    async def begin(self) -> None:
        await asyncio.gather(*(trade.prepare() for trade in (*self.trades, *self.newcomers)))
        self._at_work = [asyncio.create_task(self._work(trade)) for trade in self.trades]

    async def _work(self, trade: Trade) -> None:
        while not self._over:
            try:
                await trade.turn()
            except Unanswered:
                pass  # it was only looking
            except GaveUp as error:
                self.tally.hung.append(f"never decided: {error}")
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))

    async def until_each_has_worked(self, seconds: float = _RECOVERY_SECONDS) -> float:
        """Seconds until every kind of work has succeeded as a whole, at the first try. Raises TimeoutError."""
        began = self.tally.clock()
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(_succeeds(trade) for trade in self.newcomers))
        return self.tally.clock() - began

    async def finish(self) -> Findings:
        """Ends the work, each piece decided, and reads back what was acknowledged."""
        self._over = True
        async with asyncio.timeout(_DRAIN_SECONDS):
            await asyncio.gather(*self._at_work)
        findings = Findings()
        for found in await asyncio.gather(*(trade.read_back() for trade in self.trades)):
            findings += found
        return findings

    async def stop(self) -> None:
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)


async def _succeeds(trade: Trade) -> None:
    while True:
        try:
            return await trade.turn()
        except Unanswered:
            await asyncio.sleep(0.1)


@asynccontextmanager
async def working(suite: Suite, gateway: httpx.AsyncClient) -> AsyncIterator[Load]:
    """A load of new users, at work inside the block.

    Its times are those that a process of the suite had that nobody breaks, the portal, as busy as the machine may be.
    """
    register = register_with(gateway)
    users = [await register() for _ in range(USERS + 1)]
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=50)
    async with (
        httpx.AsyncClient(base_url=gateway.base_url, timeout=60, limits=limits, verify=authorities()) as http,
        client_of(suite, "portal") as portal,
        working_time(lambda: _answers(portal)) as time,
    ):
        tally = Tally(clock=lambda: time.seconds)
        trades = [
            trade
            for user, engine in zip(users[:USERS], ENGINES, strict=True)
            for trade in _trades(Caller(http, tally, user.headers), user, [engine], talks=user is users[0])
        ]
        newcomer = Caller(http, tally, users[-1].headers, patience_seconds=0)
        load = Load(trades, _trades(newcomer, users[-1], ENGINES, talks=True), tally)
        await load.begin()
        try:
            yield load
        finally:
            await load.stop()


async def _answers(portal: httpx.AsyncClient) -> None:
    with contextlib.suppress(httpx.TransportError):  # where the whole suite is killed
        await portal.get("/health/live")


def _trades(caller: Caller, user: User, engines: Sequence[str], *, talks: bool) -> list[Trade]:
    """One of each kind; few talk, because the model would leave the machine to nobody else."""
    mark = secrets.token_hex(4)
    vectors = [Vectors(caller, f"v-{mark}-{engine}", engine) for engine in engines]
    chat = [Chat(caller, f"c-{mark}")] if talks else []
    return [
        Agents(caller, f"a-{mark}"),
        *vectors,
        Tasks(caller, f"t-{mark}"),
        *chat,
        Account(caller, f"k-{mark}", user),
    ]
