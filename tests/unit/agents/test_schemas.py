"""What a caller may write."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from services.agents.schemas import AgentCreate, AgentUpdate

VALID: dict[str, Any] = {"name": "Invoice assistant", "instructions": "Answer briefly."}
LARGEST = 2**53 - 1


def refusals(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Where and why `body` is refused, read as JSON."""
    with pytest.raises(ValidationError) as caught:
        AgentCreate.model_validate(json.loads(json.dumps(body)))
    return [("/".join(map(str, error["loc"])), error["type"]) for error in caught.value.errors()]


def test_only_name_and_instructions_are_needed() -> None:
    assert AgentCreate.model_validate(VALID).model_dump() == VALID | {
        "description": None,
        "model": None,
        "capabilities": (),
        "knowledge": (),
        "tools": (),
        "history": "cut",
        "metadata": {},
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x" * 100},
        {"name": "発票 アシスタント 🧾"},
        {"description": "d" * 2000},
        {"instructions": "i" * 32_768},
        {"model": "meta-llama/Llama-3.1:free@v1"},
        {"capabilities": [f"c-{number}" for number in range(64)]},
        {"capabilities": ["a" * 64]},
        {"knowledge": [f"k_{number}" for number in range(16)]},
        {"knowledge": ["a" * 63]},
        {"tools": [f"Tool.{number}" for number in range(32)]},
        {"metadata": {f"key:{number}": number for number in range(64)}},
        {"metadata": {"text": "x" * 1024, "integer": -LARGEST, "number": 0.5, "claim": False}},
    ],
)
def test_the_bounds_themselves_are_allowed(changes: dict[str, Any]) -> None:
    AgentCreate.model_validate(VALID | changes)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": " padded"}, "name"),
        ({"name": "padded\u00a0"}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "two\u2028lines"}, "name"),
        ({"name": "nul\x00"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "01890a5d-ac96-774b-bcce-b302099a8057"}, "name"),
        ({"description": "d" * 2001}, "description"),
        ({"instructions": ""}, "instructions"),
        ({"instructions": None}, "instructions"),
        ({"instructions": "i" * 32_769}, "instructions"),
        ({"instructions": "nul\x00"}, "instructions"),
        ({"model": "two words"}, "model"),
        ({"model": "m" * 129}, "model"),
        ({"capabilities": [f"c{number}" for number in range(65)]}, "capabilities"),
        ({"capabilities": ["fine", "Not A Slug"]}, "capabilities/1"),
        ({"capabilities": ["a" * 65]}, "capabilities/0"),
        ({"capabilities": None}, "capabilities"),
        ({"knowledge": [f"k{number}" for number in range(17)]}, "knowledge"),
        ({"knowledge": ["_hidden"]}, "knowledge/0"),
        ({"knowledge": ["a" * 64]}, "knowledge/0"),
        ({"tools": [f"t{number}" for number in range(33)]}, "tools"),
        ({"tools": ["rm -rf"]}, "tools/0"),
        ({"history": "forget"}, "history"),
        ({"history": None}, "history"),
        ({"metadata": {f"k{number}": 1 for number in range(65)}}, "metadata"),
        ({"metadata": {"no spaces": 1}}, "metadata/no spaces/[key]"),
        ({"metadata": {"nothing": None}}, "metadata/nothing"),
        ({"metadata": {"nested": {"a": 1}}}, "metadata/nested"),
        ({"metadata": {"list": [1]}}, "metadata/list"),
        ({"metadata": {"long": "x" * 1025}}, "metadata/long"),
        ({"metadata": {"nul": "\x00"}}, "metadata/nul"),
        ({"metadata": {"large": LARGEST + 1}}, "metadata/large"),
        ({"metadata": {"infinite": float("inf")}}, "metadata/infinite"),
        ({"metadata": {"nan": float("nan")}}, "metadata/nan"),
        ({"colour": "red"}, "colour"),
        ({"id": "01890a5d-ac96-774b-bcce-b302099a8057"}, "id"),
        ({"tenant_id": "01890a5d-ac96-774b-bcce-b302099a8057"}, "tenant_id"),
    ],
)
def test_what_is_out_of_bounds_is_refused_once_and_where_it_stands(changes: dict[str, Any], place: str) -> None:
    assert [where for where, _ in refusals(VALID | changes)] == [place]


@pytest.mark.parametrize("field", ["capabilities", "knowledge", "tools"])
def test_lists_name_nothing_twice(field: str) -> None:
    assert refusals(VALID | {field: ["same", "other", "same"]}) == [(field, "duplicate_items")]


def test_metadata_keeps_its_types() -> None:
    metadata = {"claim": True, "one": 1, "one_point": 1.0, "text": "1"}

    body = AgentCreate.model_validate_json(json.dumps(VALID | {"metadata": metadata}))

    assert [type(value) for value in body.metadata.values()] == [bool, int, float, str]


def test_an_update_holds_only_what_was_sent() -> None:
    assert AgentUpdate.model_validate({}).model_dump() == {}
    assert AgentUpdate.model_validate({"model": None, "tools": []}).model_dump() == {"model": None, "tools": ()}


@pytest.mark.parametrize("field", ["name", "instructions", "capabilities", "knowledge", "tools", "history", "metadata"])
def test_an_update_cannot_take_away_what_every_agent_has(field: str) -> None:
    with pytest.raises(ValidationError):
        AgentUpdate.model_validate({field: None})


def test_the_documents_name_the_bounds() -> None:
    properties = AgentCreate.model_json_schema()["properties"]

    assert properties["instructions"]["maxLength"] == 32_768
    assert (properties["tools"]["maxItems"], properties["tools"]["uniqueItems"]) == (32, True)
    assert properties["metadata"]["additionalProperties"] is False
    assert "default" not in AgentUpdate.model_json_schema()["properties"]["name"]
