"""What `make up` waits for last."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import probes, wellbeing
from local.outcomes import Result
from local.suite import Suite

YOUNG = {"status": "warn", "checks": {"chat": {"status": "warn", "detail": "auth: not heard of yet"}}}
WELL = {"status": "pass", "checks": {"chat": {"status": "pass"}}}


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path, 12330, {})


def answering(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The portal, giving these in turn, and the last for ever; what it has still to give."""
    left = iter(answers)
    last = answers[-1]
    monkeypatch.setattr(probes, "get", lambda *_, **__: json.dumps(next(left, last)).encode())
    monkeypatch.setattr(wellbeing, "POLL_SECONDS", 0.0)
    return left


def test_a_warning_of_the_first_seconds_is_waited_out(monkeypatch: pytest.MonkeyPatch, suite: Suite) -> None:
    left = answering(monkeypatch, YOUNG, YOUNG, WELL)

    outcome = wellbeing.check(suite.site)

    assert (outcome.result, outcome.reason, list(left)) == (Result.RUNNING, "", [])


def test_a_warning_that_stays_is_told_and_fails_nothing(monkeypatch: pytest.MonkeyPatch, suite: Suite) -> None:
    answering(monkeypatch, YOUNG)
    monkeypatch.setattr(wellbeing, "SETTLE_SECONDS", 0.0)

    outcome = wellbeing.check(suite.site)

    assert (outcome.result, outcome.reason) == (Result.RUNNING, "chat: auth: not heard of yet")


def test_without_a_component_a_warning_is_all_there_is(monkeypatch: pytest.MonkeyPatch, suite: Suite) -> None:
    left = answering(monkeypatch, YOUNG, WELL)

    assert wellbeing.check(suite.site, whole=False).result is Result.RUNNING
    assert list(left) == [WELL]
