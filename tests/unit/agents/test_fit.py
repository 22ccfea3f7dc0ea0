"""Arguments are held against the schema of a tool, which an earlier release may have kept."""

import pytest

from services.agents.calls.domain import ToolFailed
from services.agents.calls.http import require_fit


def test_a_schema_that_is_taken_no_more_is_a_failure_of_the_tool() -> None:
    members = {f"p{number}": {"pattern": f".{{900}}{number}"} for number in range(500)}

    with pytest.raises(ToolFailed):
        require_fit({"type": "object", "properties": members}, {})
