"""When a collection has a graph: the one that serves, the one on its way, and what is compared for want of one."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.vectors.adapters.faiss_graph import Graph, Marks
from services.vectors.adapters.faiss_records import Slots
from services.vectors.domain import Metric

_WIDER: Final = 4  # times as many are looked for where too few of those found are wanted
_WORTH_ONE: Final = 50
"""How often all are compared for want of a graph before one is made, which takes as long as some thousand times."""
_FAILED: Final = 1000  # the same, before another is tried
_LOST: Final = 3  # of how many points one may lead to nothing, before all of it is made anew

_NONE: Final[Slots] = np.empty(0, dtype=np.int64)


class Growth:
    """Many may ask for `candidates` at once, and look at it; who calls anything else must be alone."""

    def __init__(self, dimension: int, metric: Metric, graph_from: float) -> None:
        """Up to `graph_from` vectors, all are compared."""
        self._dimension, self._metric, self._from = dimension, metric, graph_from
        self._serving: Graph | None = None
        self._coming: Graph | None = None
        self._compared = 0.0
        self._changes = 0
        """Slots that were written or freed."""
        self._unfit_until = 0
        """So many: what is there now makes no graph that finds enough."""

    @property
    def nbytes(self) -> int:
        return sum(graph.nbytes for graph in self._all())

    @property
    def serves(self) -> bool:
        return self._serving is not None

    @property
    def waits(self) -> int:
        """How many the graph does not know yet."""
        return len(self._serving.waiting) if self._serving else 0

    # --- What is written ----------------------------------------------------------------------------------------------

    def written(self, slots: Slots) -> None:
        self._changes += len(slots)
        for graph in self._all():
            graph.written(slots)

    def freed(self, slots: Slots, left: int) -> None:
        """So many records are left."""
        self._changes += len(slots)
        for graph in self._all():
            graph.freed(slots)
        if left <= self._from // 2:
            self._serving = self._coming = None

    def _all(self) -> list[Graph]:
        return [graph for graph in (self._serving, self._coming) if graph]

    # --- Searching ----------------------------------------------------------------------------------------------------

    def candidates(
        self, asked: NDArray[np.float32], limit: int, total: int, among: Slots | None
    ) -> tuple[list[Slots | None], Slots]:
        """For each of `asked` slots with nearly all its nearest `limit` of `total`, or of `among`; and who may be, too.

        None where all have to be compared, or may as well be.
        """
        found: list[Slots | None] = [None] * len(asked)
        graph, count = self._serving, total if among is None else len(among)
        if graph is None or count <= self._from:
            self._compared += len(asked) * count * (count > self._from)
            return found, _NONE
        beside = graph.waiting if among is None else both(graph.waiting, among)
        breadth, left = graph.breadth(limit, count / total), list(range(len(asked)))
        pays = graph.cost(breadth) < count
        while left and graph.cost(breadth) + len(beside) < count:
            for at, slots in zip(left, graph.nearest(asked[left], breadth), strict=True):
                wanted = slots if among is None else both(slots, among)
                if len(wanted) >= min(limit, count - len(beside)):
                    found[at] = wanted
            left, breadth = [at for at in left if found[at] is None], _WIDER * breadth
        self._compared += len(asked) * len(graph.placeable(beside))
        if pays and self.leads_to_little(graph):  # else it is the question that another could not answer either
            self._compared += len(left) * count
        return found, beside

    # --- One on its way -----------------------------------------------------------------------------------------------

    def expect(self) -> None:
        """One was kept: it is wanted at once."""
        self._compared = math.inf

    def look(self) -> bool:
        """Whether it is wanted for having been kept alone: else it is one that is worth its while, wherever from."""
        is_expected = math.isinf(self._compared)
        if is_expected:
            self._compared = 0
        return is_expected

    def is_wanted(self, total: int) -> bool:
        """Whether a graph, or one that knows more, would have been worth its while by now."""
        is_possible = self._coming is None and self._changes >= self._unfit_until
        return is_possible and self._compared > _WORTH_ONE * total > 0

    def begin(self, live: Marks) -> Graph | None:
        """One that is to `place` who waits, and to be `finished` or `given_up`; None where none would know more."""
        self._compared = 0
        if self._coming or np.count_nonzero(live) <= self._from:
            return None
        serving = self._serving
        if serving is None or self.leads_to_little(serving):
            self._coming = Graph(self._dimension, self._metric, live)
        elif len(serving.placeable(serving.waiting)):
            self._coming = serving.successor()
        return self._coming

    def leads_to_little(self, graph: Graph) -> bool:
        """Whether it is to be made anew, rather than to be gone on with."""
        return _LOST * graph.lost >= graph.size

    def is_coming(self, graph: Graph) -> bool:
        """Whether it still is wanted."""
        return self._coming is graph

    def finish(self, graph: Graph) -> bool:
        """It serves from now on, unless it is not wanted any more."""
        if self._coming is not graph:
            return False
        self._serving, self._coming, self._compared = graph, None, 0  # what was compared meanwhile, it has ended
        graph.complete()
        return True

    def refuse(self, graph: Graph, total: int) -> None:
        """It finds too little, and so would another, until a good part of all is new."""
        if self._coming is graph:
            self._coming, self._compared, self._unfit_until = None, 0, self._changes + math.ceil(total / _LOST)

    def withdraw(self, graph: Graph) -> None:
        """It was kept, and is of no use; nothing speaks against one that is made."""
        if self._coming is graph:
            self._coming, self._compared = None, 0

    def give_up(self, graph: Graph) -> None:
        """Nothing happens to one that is finished, or refused."""
        if self._coming is graph:
            self._coming, self._compared = None, -_FAILED * (graph.size + len(graph.waiting))


def both(slots: Slots, among: Slots) -> Slots:
    """Those of `slots` that are `among` others, which rise and are not none."""
    places = np.minimum(np.searchsorted(among, slots), len(among) - 1)
    found: Slots = slots[among[places] == slots]
    return found
