"""Points on a task's way at which something is killed, each stated as a message that never arrives.

What is killed knows nothing of it: the message is held on its way between a process and a store, and then the process,
or the store, is gone.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from tests.faults.drill import API_PROCESS, WORKER_PROCESS, Drill

_REACHED_SECONDS: Final = 60.0
_NUMBER: Final = 3  # which message of that kind, of those after the strike was asked for


@dataclass(frozen=True, slots=True)
class Point:
    """`victim` is killed when the message that is `moment` would pass between `process` and `store`.

    `repeats` says whether an attempt may be broken off, whose handler then runs again.
    """

    name: str
    victim: str
    process: str
    store: str
    moment: str
    repeats: bool = False

    async def strike(self, drill: Drill) -> None:
        """Kills at the next such moment, and starts the victim again. Raises TimeoutError when none comes."""
        wire = drill.wires[self.process, self.store]
        reached = wire.stop_at(self.moment, _NUMBER)
        try:
            async with asyncio.timeout(_REACHED_SECONDS):
                await reached.wait()
        except TimeoutError as error:
            tally = drill.callers[0].tally
            raise TimeoutError(f"no {self.moment}: {len(drill.acknowledged)} accepted, {tally}") from error
        if self.victim in drill.replicas:
            await drill.replicas[self.victim].kill()
            await wire.cut()
            await drill.replicas[self.victim].start()
        else:
            await asyncio.to_thread(drill.suite.kill, self.victim)
            await wire.cut()
            await asyncio.to_thread(drill.suite.start, self.victim)


_A, _W, _P, _R = API_PROCESS, WORKER_PROCESS, "postgres", "rabbitmq"
POINTS: Final = (
    Point("API before it commits a submit", _A, _A, _P, "commit submit"),
    Point("API before it hears of the commit", _A, _A, _P, "committed submit"),
    Point("relay before it publishes", _A, _A, _R, "publish"),
    Point("relay before it hears of the confirm", _A, _A, _R, "confirm"),
    Point("relay before it deletes what was confirmed", _A, _A, _P, "forget"),
    Point("worker before it hears of a delivery", _W, _W, _R, "deliver", repeats=True),
    Point("worker before it claims", _W, _W, _P, "claim", repeats=True),
    Point("worker before it hears that it has claimed", _W, _W, _P, "committed claim", repeats=True),
    Point("worker after the effect", _W, _W, _P, "settle", repeats=True),
    Point("worker before it commits the end", _W, _W, _P, "commit settle", repeats=True),
    Point("worker before it hears that the end is written", _W, _W, _P, "committed settle", repeats=True),
    Point("worker before it acknowledges", _W, _W, _R, "ack", repeats=True),
    Point("PostgreSQL before the commit of a submit", _P, _A, _P, "commit submit", repeats=True),
    Point("PostgreSQL after the commit of a claim", _P, _W, _P, "committed claim", repeats=True),
    Point("PostgreSQL before the commit of an end", _P, _W, _P, "commit settle", repeats=True),
    Point("PostgreSQL after the commit of an end", _P, _W, _P, "committed settle", repeats=True),
    Point("RabbitMQ after it has confirmed", _R, _A, _R, "confirm"),
    Point("RabbitMQ after a delivery", _R, _W, _R, "deliver"),
    Point("RabbitMQ before it is acknowledged to", _R, _W, _R, "ack"),
)
SMOKE: Final = (
    "API before it hears of the commit",
    "relay before it hears of the confirm",
    "worker after the effect",
    "RabbitMQ after a delivery",
    "PostgreSQL after the commit of an end",
)
