"""Starts executions: within the budgets of whoever pays, and under a meter of their own.

Every second or so what a run has used is noted, with the run and with its reservation: a provider is paid whether or
not the process that asked it lives to say so.
"""

import logging
from collections.abc import Sequence

from services.chat.runs.execution import Execution
from services.chat.runs.supervisor import Admission
from services.chat.runs.waiting_room import WaitingRoom
from services.chat.usage.budgets import Reservation
from services.chat.usage.meter import NOT_YET, Measured, Meter, metered
from shared.identity import Caller
from shared.loops import in_background, keep

_log = logging.getLogger("chat.runs")
_NOTED_EVERY_SECONDS = 1.0


def launch(
    execution: Execution, admission: Admission, reservation: Reservation, earlier: Sequence[Measured] = ()
) -> None:
    """Have the turn answered from now on, whoever listens. `earlier` is what it used before it lay down."""
    with metered(Meter(earlier=earlier)) as meter:
        admission.launch(execution.live, _settled(execution, meter, reservation))


def launch_in_turn(
    execution: Execution, admission: Admission, reservation: Reservation, room: WaitingRoom, caller: Caller
) -> None:
    """Have the turn answered when its turn comes, whoever listens."""
    with metered(Meter(began_at=NOT_YET)) as meter:
        work = _settled_in_turn(execution, admission, meter, reservation, room, caller)
        admission.launch(execution.live, work, waits_seconds=room.seconds)


async def _settled_in_turn(
    execution: Execution,
    admission: Admission,
    meter: Meter,
    reservation: Reservation,
    room: WaitingRoom,
    caller: Caller,
) -> None:
    if await execution.turn_comes(room, caller, admission):
        meter.begin()
        with execution.limited():
            await _settled(execution, meter, reservation)
    else:
        await reservation.settle(0)


async def _settled(execution: Execution, meter: Meter, reservation: Reservation) -> None:
    """Answer the turn, and have counted what it used."""
    try:
        async with in_background(_noted(execution, meter, reservation)):
            await execution.run()
    finally:
        await reservation.settle(meter.tokens)


async def _noted(execution: Execution, meter: Meter, reservation: Reservation) -> None:
    noted = 0

    async def note() -> None:
        nonlocal noted
        if (tokens := meter.so_far().tokens) != noted:
            await execution.note_used(meter)
            await reservation.note(tokens)
            noted = tokens

    await keep(note, log=_log, every_seconds=_NOTED_EVERY_SECONDS, pauses_first=True)
