"""How long is waited for what is to stop."""

from local.components import ALL
from local.supervision import STOP_SECONDS


def test_what_is_killed_at_last_is_waited_for_until_then() -> None:
    assert max(component.stop_seconds for component in ALL.values()) + 10 < STOP_SECONDS
