"""The grammar of scopes."""

import re

import pytest

from shared.identity import SCOPE_PATTERN, covers, narrowed

ID = "0198c0de-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("held", "needed", "is_covered"),
    [
        ("agents:read", "agents:read", True),
        ("agents:read", f"agents:{ID}:read", True),
        ("agents:*", "agents:read", True),
        ("agents:*", f"agents:{ID}:write", True),
        (f"agents:{ID}:read", f"agents:{ID}:read", True),
        (f"agents:{ID}:*", f"agents:{ID}:write", True),
        ("agents:read", "agents:write", False),
        ("agents:read", "agents:*", False),
        (f"agents:{ID}:read", "agents:read", False),
        (f"agents:{ID}:*", "agents:*", False),
        (f"agents:{ID}:read", "agents:other:read", False),
        ("agents:*", "chat:read", False),
        ("admin", "agents:read", False),
        ("agents:*", "admin", False),
        ("admin", "admin", True),
        ("admin:*", "admin", False),
    ],
)
def test_what_is_held_covers_as_much_and_no_more(held: str, needed: str, is_covered: bool) -> None:
    assert covers(held, needed) is is_covered


def test_a_scope_is_narrowed_to_one_object() -> None:
    assert narrowed("agents:read", ID) == f"agents:{ID}:read"


@pytest.mark.parametrize("scope", ["agents:read", f"agents:{ID}:read", "agents:*", "vectors:my_docs-2:write", "admin"])
def test_a_scope_has_this_form(scope: str) -> None:
    assert re.fullmatch(SCOPE_PATTERN, scope)


@pytest.mark.parametrize(
    "scope", ["", "*", "agents:", ":read", "agents::read", "Agents:read", "a:b:c:d", "agents:A:read"]
)
def test_nothing_else_is_a_scope(scope: str) -> None:
    assert not re.fullmatch(SCOPE_PATTERN, scope)
