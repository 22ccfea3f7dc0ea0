"""What auth publishes, against what every service listens for; and what services tell, against what auth takes."""

import importlib
from typing import get_args

import orjson
import pytest

from services.auth.events import Event
from services.auth.trust.audit.actions import ELSEWHERE, REFUSED_ELSEWHERE
from services.auth.trust.consumers import DeedHeard
from services.topology import CLIENTS
from shared.identity import ACCESS_EVENTS, ACCESS_REFUSED, TOKEN_FORGED, Caller, deed

ADA = Caller("ada", "tenant", frozenset(), "token", 0.0, 0.0, "", actor="service:tasks", key_id="key")
TOLD = {name: list(importlib.import_module(f"services.{name}.events").Done) for name in CLIENTS}


def test_every_event_is_one_that_all_services_hear() -> None:
    assert {event.name for event in get_args(Event)} == set(ACCESS_EVENTS)


def test_what_services_tell_is_what_auth_takes() -> None:
    assert {action for told in TOLD.values() for action in told} == ELSEWHERE


@pytest.mark.parametrize("action", [action for told in TOLD.values() for action in told])
def test_a_deed_is_read_as_it_was_told(action: str) -> None:
    told = deed(ADA, action, "thing", count=3)

    heard = DeedHeard.model_validate_json(orjson.dumps(told.body)).noted

    assert (heard.action, heard.actor, heard.tenant_id, heard.target) == (action, "ada", "tenant", "thing")
    assert heard.details == {"act": "service:tasks", "key_id": "key", "count": 3}


def test_what_services_refuse_is_what_auth_takes() -> None:
    assert {ACCESS_REFUSED, TOKEN_FORGED} == REFUSED_ELSEWHERE
