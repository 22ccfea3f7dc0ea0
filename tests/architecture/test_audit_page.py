"""docs/audit.md lists every action, and how its repetitions are written."""

import re

from services.auth.trust.audit.actions import CHANGES, REPEATABLE, Action
from tests.architecture.conftest import REPOSITORY

ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| .+ \| ?(counted|counted whole|) ?\|$", re.MULTILINE)


def test_the_page_lists_every_action_and_how_it_is_counted() -> None:
    listed = dict(ROW.findall((REPOSITORY / "docs" / "audit.md").read_text()))

    assert listed == {
        action.value: "counted" if action in REPEATABLE else "counted whole" if action in CHANGES else ""
        for action in Action
    }


def test_nothing_is_counted_in_two_ways() -> None:
    assert not REPEATABLE & CHANGES
