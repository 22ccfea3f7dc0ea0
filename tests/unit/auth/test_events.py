"""What auth publishes, against what every service listens for."""

from typing import get_args

from services.auth.events import Event
from shared.identity import ACCESS_EVENTS


def test_every_event_is_one_that_all_services_hear() -> None:
    assert {event.name for event in get_args(Event)} == set(ACCESS_EVENTS)
