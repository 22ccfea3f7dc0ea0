"""Starts executions: within the budgets of whoever pays, and under a meter of their own."""

from collections.abc import Sequence

from services.chat.runs.execution import Execution
from services.chat.runs.supervisor import Admission
from services.chat.runs.waiting_room import WaitingRoom
from services.chat.usage.budgets import Reservation
from services.chat.usage.meter import Measured, Meter, metered
from shared.identity import Caller


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
    with metered(Meter()) as meter:
        work = _settled_in_turn(execution, meter, reservation, room, caller)
        admission.launch(execution.live, work, waits_seconds=room.seconds)


async def _settled_in_turn(
    execution: Execution, meter: Meter, reservation: Reservation, room: WaitingRoom, caller: Caller
) -> None:
    if await execution.turn_comes(room, caller):
        with execution.limited():
            await _settled(execution, meter, reservation)
    else:
        await reservation.settle(0)


async def _settled(execution: Execution, meter: Meter, reservation: Reservation) -> None:
    """Answer the turn, and have counted what it used."""
    try:
        await execution.run()
    finally:
        await reservation.settle(meter.tokens)
