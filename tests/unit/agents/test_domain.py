"""What makes a version, and which names are the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.agents.domain import Agent, name_key, reads_as_id

THEN = datetime(2025, 3, 1, 12, tzinfo=UTC)
LATER = THEN + timedelta(minutes=5)
AGENT = Agent(
    id="01890a5d-ac96-774b-bcce-b302099a8057",
    version=3,
    name="Invoice assistant",
    description="Reads invoices.",
    instructions="Answer briefly.",
    model=None,
    capabilities=("invoices", "email"),
    knowledge=("invoices-2025",),
    tools=(),
    metadata={"team": "finance", "tier": 1},
    created_at=THEN,
    updated_at=THEN,
)


def test_a_change_makes_the_next_version() -> None:
    revised = AGENT.revised({"description": None, "tools": ("http_get",)}, LATER)

    assert revised == replace(AGENT, description=None, tools=("http_get",), version=4, updated_at=LATER)


@pytest.mark.parametrize("changes", [{}, {"name": "Invoice assistant"}, {"metadata": {"tier": 1, "team": "finance"}}])
def test_no_difference_is_no_version(changes: dict[str, object]) -> None:
    assert AGENT.revised(changes, LATER) is AGENT


@pytest.mark.parametrize("tier", [True, 1.0])
def test_values_that_python_holds_for_equal_are_a_difference(tier: object) -> None:
    revised = AGENT.revised({"metadata": {"team": "finance", "tier": tier}}, LATER)

    assert revised.version == 4
    assert revised.metadata["tier"] is tier


def test_the_order_of_capabilities_is_a_difference() -> None:
    assert AGENT.revised({"capabilities": ("email", "invoices")}, LATER).version == 4


def test_an_agent_is_never_updated_before_its_last_update() -> None:
    assert AGENT.revised({"name": "Other"}, THEN - timedelta(seconds=1)).updated_at == THEN


@pytest.mark.parametrize(
    "other",
    [
        "invoice ASSISTANT",
        "Invoice  assistant",
        "Invoice\u00a0assistant",
        "\uff29nvoice assistant",
        "Invoice\u200b assistant",
    ],
)
def test_names_that_read_the_same_have_one_key(other: str) -> None:
    assert name_key(other) == name_key("Invoice assistant")


@pytest.mark.parametrize(("one", "other"), [("Straße", "STRASSE"), ("Zoe\u0308", "Zoë"), ("ΌΣΟΣ", "όσος")])
def test_keys_fold_case_and_composition(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


def test_names_that_read_differently_have_two_keys() -> None:
    assert len({name_key(name) for name in ("Bot 1", "Bot 2", "Bot-1", "Böt 1", "\u200b", "\u200c")}) == 6


@pytest.mark.parametrize("name", ["01890a5d-ac96-774b-bcce-b302099a8057", "01890A5DAC96774BBCCEB302099A8057"])
def test_an_id_reads_as_one(name: str) -> None:
    assert reads_as_id(name)


def test_a_name_does_not_read_as_an_id() -> None:
    assert not reads_as_id("Invoice assistant")
