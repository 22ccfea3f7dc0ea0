"""How many agents are at work at once on tasks that others have handed them: the runs of one user could be hundreds."""

from collections.abc import Iterator
from contextlib import contextmanager

from services.chat.domain import Owner
from services.chat.errors import Overloaded
from shared.limits import Shares


class Delegates:
    """The places of one process, beside those for the answers of runs: each of either asks one model at a time."""

    def __init__(self, places: int) -> None:
        self._shares = Shares("delegates", places)

    @contextmanager
    def place(self, owner: Owner) -> Iterator[None]:
        """One of the owner's, through the block. Raises ShareTaken, Overloaded."""
        place = self._shares.take(owner.tenant_id, owner.user_id)
        if place is None:
            raise Overloaded
        try:
            yield
        finally:
            place.give_back()
