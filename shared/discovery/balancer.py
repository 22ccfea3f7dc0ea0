"""Chooses among the addresses of one service."""

import itertools
import time
from collections.abc import Callable, Iterator

_EJECTED_SECONDS = 5.0


class Balancer:
    """Turns over the addresses of one service, passing by those that just failed."""

    def __init__(self, addresses: list[str] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.addresses: list[str] = []
        self._turn: Iterator[int] = itertools.count()
        self._ejected: dict[str, float] = {}
        self._clock = clock
        self.replace(addresses or [])

    def replace(self, addresses: list[str]) -> None:
        self.addresses = sorted(addresses)
        self._ejected = {address: until for address, until in self._ejected.items() if address in addresses}

    def choose(self) -> str | None:
        now = self._clock()
        healthy = [address for address in self.addresses if self._ejected.get(address, 0) <= now] or self.addresses
        return healthy[next(self._turn) % len(healthy)] if healthy else None

    def eject(self, address: str) -> None:
        self._ejected[address] = self._clock() + _EJECTED_SECONDS
