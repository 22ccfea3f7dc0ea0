"""Every store and process killed, frozen and restarted under a mixed load: nothing acknowledged is lost or done twice.

All of them with `FAULTS=1` (`make test-faults`); otherwise two stores and a process.
"""

import os
from collections.abc import Callable

import httpx
import pytest

from local.suite import Suite
from tests.faults.faults import FAULTS, SMOKE, Fault
from tests.faults.load import Load, working
from tests.faults.table import Row

CHOSEN = [fault for fault in FAULTS if os.environ.get("FAULTS") or (fault.kind, fault.target) in SMOKE]
RECOVERY_SECONDS = 15.0
Record = Callable[[Row], None]


async def struck(suite: Suite, fault: Fault, load: Load) -> float:
    """Breaks it in the middle of the work; seconds from its first answer until everything works."""
    await load.until_each_has_worked()
    await fault.strike(suite, fault.target)
    return await load.until_each_has_worked()


@pytest.mark.timeout(420)
@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_nothing_is_lost(suite: Suite, brief: httpx.AsyncClient, record: Record, fault: Fault) -> None:
    async with working(suite, brief) as load:
        recovery_seconds = await struck(suite, fault, load)
        findings = await load.finish()
    tally = load.tally
    record(Row(fault.name, tally, findings, recovery_seconds))

    assert findings.acknowledged > 30
    assert (findings.lost, findings.twice) == ([], [])
    assert (tally.wrong, tally.hung, tally.slow) == ([], [], [])
    assert fault.cuts_connections or not tally.cut, tally.cut
    assert recovery_seconds <= RECOVERY_SECONDS
