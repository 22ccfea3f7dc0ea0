"""The merged document says what the services' documents say, and stays valid."""

import copy
from typing import Any

import httpx
import pytest
import schemathesis

from gateway.portal.merge import merge
from services.topology import SERVICES
from tests.fixtures.working_time import working_time
from tests.portal.conftest import System, a_document, a_portal

INFO = {"title": "all", "version": "1"}


async def merged(portal: httpx.AsyncClient) -> dict[str, Any]:
    answer = await portal.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


async def test_merged_document_is_valid_and_whole(portal: httpx.AsyncClient) -> None:
    document = await merged(portal)

    schemathesis.openapi.from_dict(document).validate()
    assert set(document["paths"]) == {f"/api/v1/{name}/list" for name in SERVICES} | {"/api/v1/health/check"}
    assert "x-unavailable" not in document


async def test_operation_ids_are_unique(portal: httpx.AsyncClient) -> None:
    document = await merged(portal)

    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids)) == 6


async def test_every_reference_leads_somewhere(portal: httpx.AsyncClient) -> None:
    document = await merged(portal)

    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


async def test_a_service_that_is_away_is_left_out_and_named(system: System) -> None:
    system.instances["vectors"] = []

    async with a_portal(system) as portal:
        document = await merged(portal)

    assert document["x-unavailable"] == ["vectors"]
    assert "/api/v1/vectors/list" not in document["paths"]
    assert "/api/v1/chat/list" in document["paths"]


async def test_a_service_that_serves_nonsense_is_left_out(system: System) -> None:
    system["chat"].document = {"paths": "none"}

    async with a_portal(system) as portal:
        document = await merged(portal)

    assert document["x-unavailable"] == ["chat"]


async def test_the_document_is_not_collected_for_each_reader(system: System, portal: httpx.AsyncClient) -> None:
    first = await merged(portal)
    system["auth"].document["info"]["title"] = "changed"

    async with working_time() as took:
        assert await merged(portal) == first
    assert took.seconds < 5


def test_what_documents_define_alike_is_shared() -> None:
    document = merge({"auth": a_document("auth"), "chat": a_document("chat")}, INFO)

    assert {"Problem", "auth_Item", "chat_Item", "auth_Page", "chat_Page"} == set(document["components"]["schemas"])
    assert set(document["components"]["securitySchemes"]) == {"bearer"}


def test_what_leads_to_a_renamed_schema_is_renamed_as_well() -> None:
    document = merge({"auth": a_document("auth"), "chat": a_document("chat")}, INFO)

    page = document["components"]["schemas"]["auth_Page"]
    assert page["properties"]["items"]["items"] == {"$ref": "#/components/schemas/auth_Item"}
    answer = document["paths"]["/api/v1/auth/list"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/auth_Page"}


def test_a_name_used_by_one_document_only_stays() -> None:
    document = merge({"auth": a_document("auth")}, INFO)

    assert set(document["components"]["schemas"]) == {"Item", "Page", "Problem"}


def test_differing_security_schemes_are_told_apart() -> None:
    other = a_document("chat")
    other["components"]["securitySchemes"]["bearer"]["bearerFormat"] = "JWT"

    document = merge({"auth": a_document("auth"), "chat": other}, INFO)

    assert document["paths"]["/api/v1/chat/list"]["get"]["security"] == [{"chat_bearer": ["chat:read"]}]
    assert set(document["components"]["securitySchemes"]) == {"auth_bearer", "chat_bearer"}


def test_discriminators_follow_their_schemas() -> None:
    documents = {name: a_document(name) for name in ("auth", "chat")}
    for document in documents.values():
        mapping = {"item": "#/components/schemas/Item"}
        document["components"]["schemas"]["Any"] = {"discriminator": {"propertyName": "kind", "mapping": mapping}}

    schemas = merge(documents, INFO)["components"]["schemas"]

    assert schemas["chat_Any"]["discriminator"]["mapping"] == {"item": "#/components/schemas/chat_Item"}


def test_merging_changes_no_source() -> None:
    documents = {name: a_document(name) for name in ("auth", "chat")}
    before = copy.deepcopy(documents)

    merge(documents, INFO)

    assert documents == before


@pytest.mark.parametrize("service", SERVICES)
def test_tags_are_listed_once(service: str) -> None:
    document = merge({name: a_document(name) for name in SERVICES}, INFO)

    assert [tag["name"] for tag in document["tags"]].count(service) == 1


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []
