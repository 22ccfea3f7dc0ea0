"""Starts executions: within the budgets of whoever pays, and under a meter of their own."""

from collections.abc import Sequence

from services.chat.runs.execution import Execution
from services.chat.runs.supervisor import Admission
from services.chat.usage.budgets import Reservation
from services.chat.usage.meter import Measured, Meter, metered


def launch(
    execution: Execution, admission: Admission, reservation: Reservation, earlier: Sequence[Measured] = ()
) -> None:
    """Have the turn answered from now on, whoever listens. `earlier` is what it used before it lay down."""
    with metered(Meter(earlier=earlier)) as meter:
        admission.launch(execution.live, _settled(execution, meter, reservation))


async def _settled(execution: Execution, meter: Meter, reservation: Reservation) -> None:
    """Answer the turn, and have counted what it used."""
    try:
        await execution.run()
    finally:
        await reservation.settle(meter.tokens)
