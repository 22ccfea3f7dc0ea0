"""Vector stores over two replicas that share a node: what one keeps, the other knows, with its caller's rights."""

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.identity import User
from tests.services.vectors.conftest import Pair
from tests.services.vectors.storing import Stores


@pytest.mark.timeout(300)
async def test_what_one_replica_keeps_the_other_knows(suite: Suite, pair: Pair, user: User) -> None:
    """The worker asks the suite's own vectors for the file, which has none of it: so its ingestion fails."""
    suite.up(["vectors", "tasks", "tasks-worker"])
    one, other = (Stores(client, user) for client in pair)
    store = await one.made(name="Shared")
    file_id = await other.upload()

    attached = await other.attach(store, file_id, attributes={"year": 2026})
    ended = await one.ended(store, file_id)
    renamed = await other.done("POST", f"/{store}", json={"name": "Ours"})

    assert attached["status"] == "in_progress"
    assert (ended["status"], ended["attributes"]) == ("failed", {"year": 2026})
    assert (await one.done("GET", f"/{store}"))["name"] == renamed["name"] == "Ours"
    assert store in [read["id"] for read in (await one.done("GET"))["data"]]
    items = [{"id": "ice", "text": "Parcels to Iceland take nine days."}]
    await stored(pair[0], user, store, items)
    assert [found["file_id"] for found in await other.search(store, "Iceland")] == ["ice"]
    await other.done("DELETE", f"/{store}/files/{file_id}")
    assert (await one.done("GET", f"/{store}/files"))["data"] == []
    await one.done("DELETE", f"/{store}")
    assert (await other.call("GET", f"/{store}")).status_code == 404


async def stored(client: httpx.AsyncClient, user: User, store: str, items: list[dict[str, str]]) -> None:
    body = {"collection": store, "items": items}
    (await client.post("/api/v1/vectors/store", json=body, headers=user.headers)).raise_for_status()
