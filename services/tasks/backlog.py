"""How much of an owner's backlog is in the queue at once: the rest waits in PostgreSQL, and nobody stands behind it.

An owner is a user, with what they have of one priority. What is held back is due and not sent (`turns`): whoever ends
one of its owner's tasks sends more of it, and the reconciler does what nobody did.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ARRAY, Text, bindparam, column, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.models import Task
from services.tasks.turns import is_none_of, number_sent, waits_of

MOST_SENT: Final = 100
"""Of an owner, that no worker has begun: several times what their share of a worker's slots is."""
_LOOKED_AT: Final = 50  # of an owner's that wait, the newest, for one of a kind without a limit


class _Owner(NamedTuple):
    priority: str
    tenant_id: str
    user_id: str


async def held_back(
    session: AsyncSession, rows: Sequence[Mapping[str, Any]], *, but: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Copies of these new rows, in their order, of which no more are to be sent than their owners have room for.

    None is sent while another of its owner's waits, so that it does not come before that; what is of a kind in `but`
    waits for something else. Nothing is locked: of two at once each may send as many as there is room for.
    """
    owners = {_owner_of(row) for row in rows if row["enqueued_at"] is not None}
    room = await _room(session, list(owners), but) if owners else {}
    return [_sent_or_not(row, room) for row in rows]


def _sent_or_not(row: Mapping[str, Any], room: dict[_Owner, int]) -> dict[str, Any]:
    if row["enqueued_at"] is None:
        return dict(row)
    owner = _owner_of(row)
    room[owner] -= 1
    return dict(row) if room[owner] >= 0 else {**row, "enqueued_at": None}


def _owner_of(row: Mapping[str, Any]) -> _Owner:
    return _Owner(*(row[name] for name in _Owner._fields))


async def _room(session: AsyncSession, owners: Sequence[_Owner], but: Collection[str]) -> dict[_Owner, int]:
    """How many more of each may be sent."""
    given = zip(_Owner._fields, zip(*owners, strict=True), strict=True)
    arrays = [bindparam(None, list(values), type_=ARRAY(Text)) for _, values in given]
    named = func.unnest(*arrays).table_valued(*(column(name, Text) for name in _Owner._fields), name="owner")
    owner = named.render_derived()
    number = number_sent(owner.c, MOST_SENT, outer=owner)
    newest = select(Task.kind).where(waits_of(owner.c)).order_by(Task.run_at.desc())
    last = newest.limit(_LOOKED_AT if but else 1).correlate(owner).subquery()
    waits = exists(select(true()).select_from(last).where(is_none_of(but, last.c.kind)))
    rows = await session.execute(select(owner, number, waits))
    return {_Owner(*whose): 0 if is_waiting else MOST_SENT - count for *whose, count, is_waiting in rows}
