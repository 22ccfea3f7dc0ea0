"""What may be granted of what is held."""

import pytest

from services.auth.errors import ScopeNotAllowed
from services.auth.trust.scopes import (
    DELEGATE,
    EXCHANGE,
    FOLLOW,
    INTROSPECT,
    Role,
    granted,
    remaining,
    scopes_of,
    scopes_of_service,
)
from services.topology import CLIENTS

HELD = frozenset({"agents:read", "agents:write", "chat:c1:read"})


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ([], HELD),
        (["agents:read"], {"agents:read"}),
        (["agents:*"], {"agents:read", "agents:write"}),
        (["agents:a1:*"], {"agents:a1:read", "agents:a1:write"}),
        (["agents:a1:read", "chat:c1:read"], {"agents:a1:read", "chat:c1:read"}),
    ],
)
def test_as_much_as_is_held_or_less(requested: list[str], expected: set[str]) -> None:
    assert granted(requested, HELD) == expected


@pytest.mark.parametrize("scope", ["chat:read", "chat:*", "chat:c2:read", "admin", "tasks:read", "admin:*"])
def test_never_more(scope: str) -> None:
    with pytest.raises(ScopeNotAllowed, match=r"may not grant"):
        granted([scope, "agents:read"], HELD)


def test_a_right_the_owner_has_lost_is_lost_to_what_they_gave_away() -> None:
    viewer = scopes_of(Role.VIEWER, is_admin=False)

    assert remaining(["agents:read", "agents:a1:write", "agents:write"], viewer) == {"agents:read"}


def test_each_role_may_do_what_the_one_before_may_and_more() -> None:
    viewer, member, owner = (scopes_of(role, is_admin=False) for role in Role)

    assert viewer < member < owner
    assert "admin" not in owner
    assert "admin" in scopes_of(Role.OWNER, is_admin=True)


def test_only_who_does_work_later_may_ask_for_the_tokens_of_users() -> None:
    assert [name for name in CLIENTS if DELEGATE in scopes_of_service(name)] == ["tasks"]
    assert {FOLLOW, EXCHANGE, INTROSPECT} == scopes_of_service("agents") == scopes_of_service("elsewhere")
