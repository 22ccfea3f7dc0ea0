"""The tools that chat executes are those that agents calls built in."""

import pytest

from services.agents.tools.domain import BUILT_IN, BUILT_IN_DESCRIPTIONS


def test_both_sides_name_the_same_tools() -> None:
    chat = pytest.importorskip("services.chat.tools.builtin")

    assert chat.NAMES == BUILT_IN


def test_each_that_is_built_in_is_described() -> None:
    assert BUILT_IN_DESCRIPTIONS.keys() == BUILT_IN
