"""No document changes unseen: `docs/openapi/` has what was agreed, and a change says whether it breaks clients."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.architecture.apps import APPS
from tests.architecture.openapi_difference import Change, differences
from tests.architecture.openapi_pages import FROZEN, frozen, page

PATH = "/api/v1/agents/{id}"


@pytest.mark.parametrize("app", APPS)
def test_the_document_is_the_frozen_one(app: str) -> None:
    old, new = json.loads(frozen(app).read_text()), json.loads(page(app))

    found = "\n".join(map(str, differences(old, new))) or "only texts and examples differ"

    assert old == new, f"\n{found}\nrun `make docs`, and say in CHANGELOG.md what breaks whom"


def test_no_document_is_frozen_that_is_no_apps() -> None:
    assert {file.stem for file in FROZEN.iterdir()} == set(APPS)


@pytest.fixture(scope="module")
def old() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page("agents"))
    return found


def schemas(new: Any) -> Any:
    return new["components"]["schemas"]


def without(mapping: Any, name: str) -> None:
    del mapping[name]


BREAKING: dict[str, Callable[[Any], object]] = {
    "an operation is gone": lambda new: without(new["paths"][PATH], "delete"),
    "a path is gone": lambda new: without(new["paths"], PATH),
    "an answer loses a member": lambda new: without(schemas(new)["AgentRead"]["properties"], "name"),
    "an answer may leave a member out": lambda new: schemas(new)["AgentRead"]["required"].remove("name"),
    "a body demands a member": lambda new: schemas(new)["AgentCreate"]["required"].append("model"),
    "a body has a new member that it demands": lambda new: schemas(new)["AgentCreate"].update(
        properties=schemas(new)["AgentCreate"]["properties"] | {"more": {"type": "string"}},
        required=[*schemas(new)["AgentCreate"]["required"], "more"],
    ),
    "a body takes less": lambda new: schemas(new)["AgentCreate"]["properties"]["name"].update(maxLength=3),
    "a body takes a member no longer": lambda new: without(schemas(new)["AgentCreate"]["properties"], "metadata"),
    "a member is of another type": lambda new: schemas(new)["AgentRead"]["properties"]["version"].update(type="string"),
    "a parameter is gone": lambda new: new["paths"]["/api/v1/agents/list"]["get"]["parameters"].pop(),
    "a parameter is required": lambda new: new["paths"]["/api/v1/agents/list"]["get"]["parameters"][0].update(
        required=True
    ),
    "a success is gone": lambda new: without(new["paths"][PATH]["get"]["responses"], "200"),
    "a header is gone": lambda new: without(new["paths"][PATH]["get"]["responses"]["200"]["headers"], "ETag"),
    "another scope is needed": lambda new: new["paths"][PATH]["get"].update(security=[{"bearer": ["admin"]}]),
    "an operation has another id": lambda new: new["paths"][PATH]["get"].update(operationId="agents_read"),
}
HARMLESS: dict[str, Callable[[Any], object]] = {
    "an operation is new": lambda new: new["paths"].update({"/api/v1/agents/more": new["paths"][PATH]}),
    "an answer has a member more": lambda new: schemas(new)["AgentRead"]["properties"].update(more={"type": "string"}),
    "a body may have a member more": lambda new: schemas(new)["AgentCreate"]["properties"].update(
        more={"type": "string"}
    ),
    "a body takes more": lambda new: schemas(new)["AgentCreate"]["properties"]["name"].update(maxLength=9999),
    "an error is new": lambda new: new["paths"][PATH]["get"]["responses"].update({"418": {"description": "tea"}}),
    "a parameter is new": lambda new: new["paths"][PATH]["get"]["parameters"].append(
        {"in": "query", "name": "more", "schema": {"type": "string"}}
    ),
}


def changed(old: dict[str, Any], change: Callable[[Any], object]) -> list[Change]:
    new = copy.deepcopy(old)
    change(new)
    return differences(old, new)


@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_clients_is_called_so(old: dict[str, Any], name: str) -> None:
    assert any(one.breaks for one in changed(old, BREAKING[name]))


@pytest.mark.parametrize("name", HARMLESS)
def test_what_breaks_nobody_is_told_and_not_called_so(old: dict[str, Any], name: str) -> None:
    found = changed(old, HARMLESS[name])

    assert found
    assert not any(one.breaks for one in found)


def test_texts_are_no_change(old: dict[str, Any]) -> None:
    assert changed(old, lambda new: new["paths"][PATH]["get"].update(summary="Another")) == []
