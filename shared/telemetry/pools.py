"""How much of its connections a process uses: pools, and whether the broker is there, read when somebody asks.

What opens one says so here, and the metrics of the app in whose lifespan that happens show it.
"""

import contextvars
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Reader = TypeVar("Reader")


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Of one pool right now; `idle` is None where it cannot be told."""

    used: int
    idle: int | None
    waiting: int
    limit: int


class Connections(Collector):
    """The pools and connections of one app; of several with one name the sums, or the worst."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pools: defaultdict[str, list[Callable[[], PoolUse]]] = defaultdict(list)
        self.brokers: defaultdict[str, list[Callable[[], bool]]] = defaultdict(list)
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """As Prometheus' client asks."""
        held = GaugeMetricFamily("pool_connections", "connections of a pool", labels=["pool", "state"])
        waiting = GaugeMetricFamily("pool_waiting", "who waits for a connection of the pool", labels=["pool"])
        limit = GaugeMetricFamily("pool_limit", "connections that the pool may have", labels=["pool"])
        up = GaugeMetricFamily("broker_connection_up", "whether it is connected to RabbitMQ", labels=["connection"])
        for name, readers in self.pools.items():
            uses = [read() for read in readers]
            held.add_metric([name, "used"], sum(use.used for use in uses))
            if idle := [use.idle for use in uses if use.idle is not None]:
                held.add_metric([name, "idle"], sum(idle))
            waiting.add_metric([name], sum(use.waiting for use in uses))
            limit.add_metric([name], sum(use.limit for use in uses))
        for name, connections in self.brokers.items():
            up.add_metric([name], all(is_up() for is_up in connections))
        yield from (held, waiting, limit, up)


_current: contextvars.ContextVar[Connections | None] = contextvars.ContextVar("connections", default=None)


@contextmanager
def measuring(connections: Connections) -> Iterator[None]:
    """What is opened within the block is shown there."""
    token = _current.set(connections)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def measured_pool(name: str, read: Callable[[], PoolUse]) -> Iterator[None]:
    """A pool that is open during the block."""
    connections = _current.get()
    with _shown(connections.pools if connections else None, name, read):
        yield


@contextmanager
def measured_broker(name: str, is_up: Callable[[], bool]) -> Iterator[None]:
    """A connection to the broker that is kept during the block."""
    connections = _current.get()
    with _shown(connections.brokers if connections else None, name, is_up):
        yield


@contextmanager
def _shown(readers: defaultdict[str, list[Reader]] | None, name: str, read: Reader) -> Iterator[None]:
    if readers is None:
        yield
        return
    readers[name].append(read)
    try:
        yield
    finally:
        readers[name].remove(read)
        if not readers[name]:
            del readers[name]
