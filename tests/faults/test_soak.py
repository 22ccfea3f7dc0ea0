"""`make soak`: everybody works while something is killed or frozen every five seconds; then everything is read back."""

import os
import random
from collections.abc import Callable

import httpx
import pytest

from local.suite import Suite
from tests.faults.load import working
from tests.faults.soak import Soak, table

SECONDS = float(os.environ.get("SOAK_SECONDS") or 0)
SEED = int(os.environ.get("SOAK_SEED") or random.randrange(2**32))
READING_BACK_SECONDS = 1200
pytestmark = pytest.mark.skipif(not SECONDS, reason="`make soak`: ten minutes")


def _teller(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says it at once, to whoever waits for ten minutes."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None

    def say(line: str) -> None:
        reporter.write_line(line)
        reporter.flush()

    return say


@pytest.mark.timeout(SECONDS + READING_BACK_SECONDS)
async def test_whatever_breaks_nothing_is_lost(
    suite: Suite, brief: httpx.AsyncClient, request: pytest.FixtureRequest
) -> None:
    say = _teller(request)
    say(f"\n{SECONDS:.0f} s, SOAK_SEED={SEED}")
    soak = Soak(suite, random.Random(SEED), say)
    async with working(suite, brief) as load:
        await load.until_each_has_worked()
        await soak.strike_for(SECONDS)
        await load.until_each_has_worked()
        findings = await load.finish()
    say(table(soak.struck, findings, load.tally))

    assert findings.acknowledged > SECONDS / 2
    assert (findings.lost, findings.twice) == ([], [])
    assert (load.tally.wrong, load.tally.hung) == ([], [])
