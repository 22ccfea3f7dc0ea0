"""An engine that is down, back with nothing, or another one than before takes no other engine's collections along."""

from pathlib import Path

import httpx
import pytest

from local.suite import Suite
from services.vectors.backends import open_backends
from services.vectors.domain import EngineName
from tests.fixtures.apps import ServiceClient, build_app
from tests.fixtures.identity import User
from tests.fixtures.readiness import until_check

COLLECTIONS = "/api/v1/vectors/collections"
STORE, SEARCH, DELETE = "/api/v1/vectors/store", "/api/v1/vectors/search", "/api/v1/vectors/delete"
NOWHERE = "http://127.0.0.1:9"


async def fill(client: httpx.AsyncClient, *engines: EngineName) -> None:
    for engine in engines:
        made = await client.post(COLLECTIONS, json={"name": f"in-{engine}", "engine": engine, "dimension": 2})
        assert made.status_code == 201, made.text
        items = [{"id": "a", "vector": [3, 4]}]
        stored = await client.post(STORE, json={"collection": f"in-{engine}", "items": items})
        assert stored.status_code == 200, stored.text


async def empty(suite: Suite, data_dir: Path, tenant_id: str, engine: EngineName) -> None:
    """What a volume that was lost does to the engine."""
    settings = build_app(suite, "vectors", data_dir=data_dir).state.settings
    async with open_backends(settings) as backends:
        collection = await backends.catalogue.find(tenant_id, f"in-{engine}")
        assert collection is not None
        await backends.engines[engine].drop_collection(collection)


async def found(client: httpx.AsyncClient, name: str) -> httpx.Response:
    return await client.post(SEARCH, json={"collection": name, "vector": [3, 4]})


async def clean_up(client: httpx.AsyncClient, *engines: EngineName) -> None:
    for engine in engines:
        assert (await client.delete(f"{COLLECTIONS}/in-{engine}")).status_code == 204


@pytest.mark.parametrize("lost", EngineName)
async def test_what_an_engine_lost_is_named_by_every_route_and_by_health(
    open_vectors: ServiceClient, suite: Suite, user: User, tmp_path: Path, lost: EngineName
) -> None:
    others = [engine for engine in EngineName if engine is not lost]
    async with open_vectors("vectors", data_dir=tmp_path) as client:
        client.headers.update(user.headers)
        await fill(client, *EngineName)
    await empty(suite, tmp_path, user.tenant_id, lost)

    async with open_vectors("vectors", data_dir=tmp_path) as client:
        client.headers.update(user.headers)
        name = f"in-{lost}"
        for method, path, body in (
            ("POST", SEARCH, {"collection": name, "vector": [3, 4]}),
            ("POST", STORE, {"collection": name, "items": [{"vector": [3, 4]}]}),
            ("POST", DELETE, {"collection": name, "ids": ["a"]}),
            ("GET", f"{COLLECTIONS}/{name}/records", None),
            ("PATCH", f"{COLLECTIONS}/{name}/records/a", {"metadata": {}}),
            ("GET", f"{COLLECTIONS}/{name}/records/a", None),
            ("DELETE", f"{COLLECTIONS}/{name}/records/a", None),
        ):
            answer = await client.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "vectors.collection_lost"), path
            assert lost.component in answer.json()["detail"]
        read = (await client.get(f"{COLLECTIONS}/{name}")).json()
        listed = {one["name"]: one["status"] for one in (await client.get(COLLECTIONS)).json()["items"]}
        assert (read["status"], read["count"]) == ("lost", None)
        assert listed.items() >= {name: "lost", **{f"in-{other}": "ready" for other in others}}.items()
        for other in others:
            assert (await found(client, f"in-{other}")).json()["results"][0]["id"] == "a"

        for other in others:
            await until_check(client, other.component, "pass")
        check = await until_check(client, lost.component, "warn")
        assert check["code"] == 200
        assert check["detail"] == f"{lost.component} has lost collections, 1 of them: restore its data or delete them"

        await clean_up(client, *EngineName)


async def test_qdrant_down_takes_no_other_engine_along(open_vectors: ServiceClient, user: User, tmp_path: Path) -> None:
    """Also moves from Edge to a server: the catalogue stays where it is."""
    async with open_vectors("vectors", data_dir=tmp_path, qdrant_url=None) as client:
        client.headers.update(user.headers)
        await fill(client, EngineName.QDRANT, EngineName.CHROMA)

    async with open_vectors("vectors", data_dir=tmp_path, qdrant_url=NOWHERE) as client:
        client.headers.update(user.headers)
        await fill(client, EngineName.FAISS)

        assert (await found(client, "in-chroma")).status_code == 200
        assert (await found(client, "in-faiss")).status_code == 200
        down = await found(client, "in-qdrant")
        assert (down.status_code, down.json()["detail"]) == (503, "qdrant is not available right now.")
        listed = {one["name"]: one["status"] for one in (await client.get(COLLECTIONS)).json()["items"]}
        assert listed.items() >= {"in-qdrant": "unavailable", "in-chroma": "ready", "in-faiss": "ready"}.items()
        await until_check(client, "catalogue", "pass")
        await until_check(client, "qdrant", "warn")
        assert (await client.get("/health/ready")).json()["status"] == "warn"

    async with open_vectors("vectors", data_dir=tmp_path, qdrant_url=None) as client:
        client.headers.update(user.headers)
        for engine in EngineName:
            assert (await found(client, f"in-{engine}")).status_code == 200
        await clean_up(client, *EngineName)
