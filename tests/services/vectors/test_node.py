"""What the node does for whom: its one route believes nothing but tokens and its own catalogue."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from local.suite import Suite
from services.vectors.adapters import faiss, qdrant_edge
from services.vectors.adapters.node_catalogue import NodeCatalogue
from services.vectors.adapters.node_connection import NodeConnection
from services.vectors.adapters.node_engine import NodeEngine
from services.vectors.adapters.node_protocol import form_of, written
from services.vectors.domain import Collection, CollectionStatus, EngineName, Metric, Record
from services.vectors.errors import CollectionMissing
from shared.errors import Relayed, Unauthenticated, Unavailable
from shared.identity import Caller, acting_for
from tests.contracts.vectors.conftest import a_collection
from tests.fixtures.identity import RegisterUser, User, service_headers
from tests.fixtures.node import connected, open_node

RECORD = Record("a", np.array([1, 0, 0, 0], dtype=np.float32), "kept", {"n": 1})


@pytest.fixture(scope="module")
async def node(
    suite: Suite, auth: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    async with open_node(suite, tmp_path_factory.mktemp("node")) as client:
        yield client


@pytest.fixture(scope="module")
async def connection(suite: Suite, node: httpx.AsyncClient) -> AsyncIterator[NodeConnection]:
    async with connected(suite, node) as opened:
        yield opened


@pytest.fixture
def catalogue(connection: NodeConnection) -> NodeCatalogue:
    return NodeCatalogue(connection)


@pytest.fixture
def engine(connection: NodeConnection) -> NodeEngine:
    return NodeEngine(EngineName.FAISS, connection, faiss.CAPABILITIES)


def caller(user: User) -> Caller:
    """As the door of a replica sees them; the node looks at the token alone."""
    return Caller(
        subject=user.user_id,
        tenant_id=user.tenant_id,
        scopes=frozenset({"vectors:read", "vectors:write"}),
        token_id="",
        issued_at=0,
        expires_at=0,
        token=user.token,
    )


async def made(catalogue: NodeCatalogue, engine: NodeEngine, user: User) -> Collection:
    """A collection of the user's, with one record."""
    collection = replace(a_collection(), tenant_id=user.tenant_id, name=f"c-{a_collection().id[-12:]}")
    with acting_for(caller(user)):
        assert await catalogue.insert(collection)
        await engine.create_collection(collection)
        await catalogue.set_status(collection, CollectionStatus.READY)
        await engine.upsert(collection, [RECORD])
    return replace(collection, status=CollectionStatus.READY)


async def test_an_owner_has_what_they_keep(catalogue: NodeCatalogue, engine: NodeEngine, user: User) -> None:
    collection = await made(catalogue, engine, user)

    with acting_for(caller(user)):
        assert await catalogue.find(user.tenant_id, collection.name) == collection
        assert collection in await catalogue.list_page(user.tenant_id, after=None, limit=100)
        [match] = await engine.search(collection, RECORD.vector, 5, None)
        found = await engine.find(collection, "a")
        assert await engine.count(collection) == await engine.delete(collection, ["a"]) == 1

    assert (match.id, match.text, match.metadata) == ("a", "kept", {"n": 1})
    assert found is not None
    assert found.vector.tolist() == RECORD.vector.tolist()


async def test_another_tenant_meets_nothing_whatever_it_claims(
    catalogue: NodeCatalogue, engine: NodeEngine, user: User, other_user: User
) -> None:
    theirs = await made(catalogue, engine, user)
    claimed = replace(theirs, tenant_id=other_user.tenant_id)

    with acting_for(caller(other_user)):
        for collection in (theirs, claimed):
            for asking in (
                engine.search(collection, RECORD.vector, 5, None),
                engine.find(collection, "a"),
                engine.count(collection),
                engine.upsert(collection, [RECORD]),
                engine.delete(collection, ["a"]),
                catalogue.remove(collection),
                catalogue.set_status(collection, CollectionStatus.DELETING),
                catalogue.list_page(theirs.tenant_id, after=None, limit=10),
            ):
                with pytest.raises(CollectionMissing):
                    await asking
            await engine.drop_collection(collection)
            assert not await engine.holds(collection)
        assert not await catalogue.insert(replace(theirs, tenant_id=other_user.tenant_id))

    with acting_for(caller(user)):
        assert await engine.count(theirs) == 1
        assert await catalogue.find(user.tenant_id, theirs.name) == theirs


async def test_a_token_opens_no_more_than_its_scopes(
    catalogue: NodeCatalogue, engine: NodeEngine, register_user: RegisterUser
) -> None:
    reader, stranger = await register_user(scope="vectors:read"), await register_user(scope="agents:read")
    collection = replace(a_collection(), tenant_id=reader.tenant_id)

    with acting_for(caller(reader)):
        assert await catalogue.find(reader.tenant_id, "none") is None
        with pytest.raises(Relayed, match="vectors:write"):
            await catalogue.insert(collection)
    assert await catalogue.insert(collection)  # by vectors itself
    with acting_for(caller(reader)):
        await engine.create_collection(collection)  # which a search does with what was left unfinished
        await catalogue.set_status(collection, CollectionStatus.READY)
        assert await engine.count(collection) == 0
        for asking in (
            engine.upsert(collection, [RECORD]),
            engine.delete(collection, ["a"]),
            engine.drop_collection(collection),
            catalogue.set_status(collection, CollectionStatus.DELETING),
            catalogue.remove(collection),
        ):
            with pytest.raises(Relayed, match="vectors:write"):
                await asking
    with acting_for(caller(stranger)), pytest.raises(Relayed, match="vectors:read"):
        await catalogue.find(stranger.tenant_id, "none")


async def test_an_alias_is_its_tenants_and_takes_the_scope_for_both_names(
    auth: httpx.AsyncClient, catalogue: NodeCatalogue, engine: NodeEngine, user: User, other_user: User
) -> None:
    collection = await made(catalogue, engine, user)
    alias = f"now-{collection.id[-12:]}"
    how: dict[str, Any] = {"version": collection.id, "at": collection.created_at, "most": 0}
    narrow = {"name": "narrow", "scopes": [f"vectors:{collection.name}:write"]}
    key = (await auth.post("/api/v1/auth/api-keys", json=narrow, headers=user.headers)).raise_for_status().json()["key"]

    with acting_for(caller(other_user)):
        for asking in (
            catalogue.point_alias(alias, collection, was=None, **how),
            catalogue.retire(collection),
            catalogue.resolve(user.tenant_id, collection.name),
            catalogue.find_alias(user.tenant_id, alias),
            catalogue.list_aliases(user.tenant_id, after=None, limit=10),
            catalogue.remove_alias(user.tenant_id, alias, was=collection.id),
        ):
            with pytest.raises(CollectionMissing):
                await asking
    with acting_for(replace(caller(user), token=key)), pytest.raises(Relayed, match="vectors:write"):
        await catalogue.point_alias(alias, collection, was=None, **how)
    with acting_for(caller(user)):
        with pytest.raises(Relayed) as refused:
            await catalogue.point_alias("../Upper", collection, was=None, **how)
        assert await catalogue.find_alias(user.tenant_id, alias) is None
        await catalogue.point_alias(alias, collection, was=None, **how)
        found = await catalogue.resolve(user.tenant_id, alias)
    assert refused.value.status == 422
    assert found == collection


async def test_only_vectors_itself_works_for_nobody(
    suite: Suite, auth: httpx.AsyncClient, node: httpx.AsyncClient, catalogue: NodeCatalogue, user: User
) -> None:
    path = "/internal/vectors/catalogue/list_ready"
    message = written(
        form_of("catalogue", "list_ready").arguments, {"engine": EngineName.FAISS, "after": None, "limit": 4}
    )
    others = [user.headers, await service_headers(auth, suite, "chat")]

    assert isinstance(await catalogue.list_ready(EngineName.FAISS, after=None, limit=4), list)
    assert [(await node.post(path, content=message, headers=one)).status_code for one in others] == [404, 404]


@pytest.mark.parametrize("path", ["faiss/search", "catalogue/insert", "catalogue/aclose", "nowhere/search"])
async def test_without_a_token_nothing_is_looked_at(node: httpx.AsyncClient, path: str) -> None:
    refused = await node.post(f"/internal/vectors/{path}", content=b"\xff" * 64)

    assert (refused.status_code, refused.json()["code"]) == (401, "common.unauthenticated")


@pytest.mark.parametrize("method", ["aclose", "check", "capabilities", "__init__", "adopt", "take"])
async def test_what_is_not_listed_is_not_there(node: httpx.AsyncClient, user: User, method: str) -> None:
    for place in ("catalogue", "faiss", "chroma"):
        refused = await node.post(f"/internal/vectors/{place}/{method}", content=b"", headers=user.headers)
        assert refused.status_code == 404


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00" * 8,
        b"\xff" * 8,
        b"\x00\x00\x00\x02\x00\x00\x00\x00[]",
        b'\x00\x00\x00\x0c\x00\x00\x00\x01{"parts":[]}.',
    ],
    ids=["empty", "no json", "endless", "a list", "half a number"],
)
async def test_what_is_no_message_is_refused(node: httpx.AsyncClient, user: User, message: bytes) -> None:
    refused = await node.post("/internal/vectors/faiss/search", content=message, headers=user.headers)

    assert (refused.status_code, refused.json()["code"]) == (422, "common.invalid")


@pytest.mark.parametrize(
    "changed", [{"id": "../../etc/passwd"}, {"id": "not-a-uuid"}, {"name": "Upper"}, {"dimension": 0}]
)
async def test_what_vectors_would_not_make_is_refused(
    catalogue: NodeCatalogue, user: User, changed: dict[str, Any]
) -> None:
    collection = replace(a_collection(), tenant_id=user.tenant_id, **changed)

    with acting_for(caller(user)), pytest.raises(Relayed) as refused:
        await catalogue.insert(collection)

    assert refused.value.status == 422


@pytest.mark.parametrize("vector", [[1, 2], [1, 2, 3, float("nan")], [float("inf"), 0, 0, 0]])
async def test_vectors_that_would_break_an_index_are_refused(
    catalogue: NodeCatalogue, engine: NodeEngine, user: User, vector: list[float]
) -> None:
    collection = await made(catalogue, engine, user)
    broken = replace(RECORD, vector=np.array(vector, dtype=np.float32))

    with acting_for(caller(user)):
        for told in (collection, replace(collection, dimension=len(vector))):
            with pytest.raises((Relayed, CollectionMissing)):
                await engine.upsert(told, [broken])
        assert await engine.count(collection) == 1


async def test_a_creation_that_comes_after_the_deletion_makes_nothing(
    catalogue: NodeCatalogue, engine: NodeEngine, user: User
) -> None:
    collection = await made(catalogue, engine, user)
    with acting_for(caller(user)):
        await catalogue.set_status(collection, CollectionStatus.DELETING)
        await engine.drop_collection(collection)
        await engine.create_collection(collection)
        assert not await engine.holds(collection)
        await catalogue.remove(collection)
        await engine.create_collection(collection)

        assert not await engine.holds(collection)
        with pytest.raises(CollectionMissing):
            await engine.upsert(collection, [RECORD])


async def test_an_ended_token_is_the_callers_and_not_the_nodes(catalogue: NodeCatalogue, user: User) -> None:
    with acting_for(replace(caller(user), token="ey.no.token")), pytest.raises(Unauthenticated):
        await catalogue.find(user.tenant_id, "none")


async def test_an_engine_that_is_kept_elsewhere_is_named(
    suite: Suite, auth: httpx.AsyncClient, tmp_path: Path, user: User
) -> None:
    """Its replicas think that it keeps Edge, and it was told of a server."""
    async with open_node(suite, tmp_path, qdrant_url="http://127.0.0.1:9") as node, connected(suite, node) as asked:
        edge = NodeEngine(EngineName.QDRANT, asked, qdrant_edge.CAPABILITIES)
        collection = replace(
            a_collection(engine=EngineName.QDRANT, metric=Metric.L2), tenant_id=user.tenant_id, name="elsewhere"
        )
        with acting_for(caller(user)):
            await NodeCatalogue(asked).insert(collection)
            with pytest.raises(Unavailable, match="its settings and those of vectors differ"):
                await edge.create_collection(collection)
