"""What a copy needs of the catalogue: its state, and the journal of what changes meanwhile, in the file of both."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.vectors.copies.domain import Advance, Change, Copy, CopyRefused, Noted
from services.vectors.domain import Collection
from services.vectors.terms import Condition


class Copies(Protocol):
    """Each method judges and changes in one step. `collection` is the target, but for `note_change`.

    What a step did not report within its turn may be done again by another; so all of a step's effects bear repetition.
    """

    async def begin_copy(self, collection: Collection, copy: Copy) -> Copy | CopyRefused:
        """List `collection`, as one that is being filled, and follow the source from now on.

        A copy of the same id that was begun before is answered as it is.
        """

    async def find_copy(self, collection: Collection) -> Copy | None:
        """As it is; None when there is no such copy, or no more."""

    async def take_turn(self, collection: Collection, turn: str, seconds: float) -> Copy | None:
        """The copy as it is; from now on the turn is `turn` if nobody has it, or whoever had it for its seconds.

        None when there is no such copy any more. One that was closing follows again.
        """

    async def list_changes(self, collection: Collection, limit: int) -> list[Change]:
        """The oldest that are not made good yet."""

    async def advance_copy(self, collection: Collection, turn: str, step: Advance) -> bool:
        """Keep what a step did. False, and nothing kept but what is to be looked at again, when the turn is another."""

    async def close_copy(self, collection: Collection, turn: str) -> list[Change] | None:
        """From now on, and until somebody has waited too long, no change is noted: those there are, are the last.

        Of very many only the oldest are told; `end_copy` knows that others are left. None when the turn is another.
        """

    async def end_copy(
        self,
        collection: Collection,
        name: str | None,
        *,
        turn: str,
        settled: Sequence[int],
        count: int,
        version: str,
        at: datetime,
    ) -> CopyRefused | None:
        """The target is ready and the alias `name`, the copy's own, points to it; None when that is done.

        Refused when the copy is not closed any more, or has changes beside `settled`. It holds `count` records.
        """

    async def note_change(
        self,
        collection: Collection,
        ids: Sequence[str],
        condition: Condition | None,
        *,
        number: int,
        alias: str | None,
        insists: bool,
    ) -> Noted:
        """After a change of `collection`, and before it is acknowledged: what a copy of it has to look at again.

        `number` of records, those of `ids` or those that met `condition`; `alias` is the name by which it was asked
        for, if that is one. Who `insists` does not wait, and opens again what was closing.
        """
