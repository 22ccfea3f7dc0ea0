"""A collection leaves in a file and comes back in another engine, through the gateway: the same, record by record."""

import json
import secrets
from typing import Any

import httpx
import pytest

from tests.e2e.test_journey import finished
from tests.fixtures.identity import User

API = "/api/v1"
WAYS = [
    ("qdrant", "chroma", {"format": "jsonl"}),
    ("chroma", "faiss", {"format": "parquet"}),
    ("faiss", "qdrant", {"format": "jsonl", "gzip": True, "vectors": "base64"}),
]
Record = tuple[str, str | None, dict[str, Any], list[float]]


class Caller:
    """What somebody does with collections, files and tasks."""

    def __init__(self, gateway: httpx.AsyncClient, user: User) -> None:
        self._gateway, self._user = gateway, user

    async def fill(self, engine: str, metric: str, records: int, *, start: int = 0) -> str:
        """A new collection of so many records; every third has a text, in several scripts."""
        name = f"dumped-{engine}-{secrets.token_hex(4)}"
        body = {"name": name, "engine": engine, "dimension": 4, "metric": metric}
        assert (await self.post("vectors/collections", body)).status_code == 201
        items = [_item(number) for number in range(records)]
        for at in range(0, records, 1000):
            stored = await self.post("vectors/store", {"collection": name, "items": items[at : at + 1000]})
            assert stored.status_code == 200, stored.text
        return name

    async def run(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        submitted = await self.post("tasks/submit", {"kind": kind, "input": given})
        assert submitted.status_code == 202, submitted.text
        return await finished(self._gateway, self._user, submitted.json()["id"])

    async def records(self, collection: str) -> list[Record]:
        found, cursor = list[Record](), None
        while True:
            asked = {"limit": "100", "include_vectors": "true"} | ({"cursor": cursor} if cursor else {})
            page = (await self.get(f"vectors/collections/{collection}/records", asked)).json()
            found += [(one["id"], one["text"], one["metadata"], one["vector"]) for one in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                return sorted(found)

    async def send(self, name: str, content: bytes) -> str:
        answer = await self._gateway.post(
            f"{API}/vectors/files", files={"file": (name, content)}, headers=self._user.headers
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def content(self, file_id: str) -> bytes:
        return (await self.get(f"vectors/files/{file_id}/content", {})).content

    async def post(self, path: str, body: Any) -> httpx.Response:
        return await self._gateway.post(f"{API}/{path}", json=body, headers=self._user.headers)

    async def get(self, path: str, params: dict[str, str]) -> httpx.Response:
        return await self._gateway.get(f"{API}/{path}", params=params, headers=self._user.headers)


def _item(number: int) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": f"größe/{number:05}",
        "vector": [number / 7, -1.5, 1 / (number + 1), 0.1],
        "metadata": {"n": number, "tags": ["猫", 'q"'], "even": number % 2 == 0, "half": number / 2},
    }
    return item | ({"text": f"Käse {number}\n猫 🐈"} if number % 3 == 0 else {})


@pytest.fixture
def caller(gateway: httpx.AsyncClient, user: User) -> Caller:
    return Caller(gateway, user)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("source", "target", "options"), WAYS, ids=["to-chroma", "to-faiss", "to-qdrant"])
async def test_a_collection_comes_back_in_another_engine_record_by_record(
    caller: Caller, source: str, target: str, options: dict[str, Any]
) -> None:
    collection, copy = await caller.fill(source, "l2", 330), f"copy-{secrets.token_hex(4)}"

    left = await caller.run("vectors.export", {"collection": collection, **options})
    assert left["status"] == "succeeded", left
    given = {"file_id": left["result"]["file_id"], "collection": copy, "engine": target}
    came = await caller.run("vectors.import", given)
    assert came["status"] == "succeeded", came

    assert (left["result"]["records"], left["progress"]["done"], left["progress"]["total"]) == (330, 330, 330)
    assert came["result"] == {"collection": copy, "format": options["format"], "records": 330}
    before, after = await caller.records(collection), await caller.records(copy)
    assert before == after  # l2 keeps vectors as they are: to the last bit
    made = (await caller.get(f"vectors/collections/{copy}", {})).json()
    assert (made["engine"], made["metric"], made["dimension"]) == (target, "l2", 4)


async def test_under_cosine_directions_come_back(caller: Caller) -> None:
    collection, copy = await caller.fill("qdrant", "cosine", 50), f"copy-{secrets.token_hex(4)}"

    left = await caller.run("vectors.export", {"collection": collection})
    await caller.run("vectors.import", {"file_id": left["result"]["file_id"], "collection": copy, "engine": "faiss"})

    before, after = await caller.records(collection), await caller.records(copy)
    assert [one[:3] for one in before] == [one[:3] for one in after]
    assert [one[3] for one in after] == [pytest.approx(one[3], abs=1e-7) for one in before]


@pytest.mark.parametrize("options", [{}, {"format": "parquet"}], ids=["jsonl", "parquet"])
async def test_a_collection_of_nothing_comes_back(caller: Caller, options: dict[str, str]) -> None:
    collection, copy = await caller.fill("faiss", "dot", 0), f"copy-{secrets.token_hex(4)}"

    left = await caller.run("vectors.export", {"collection": collection, **options})
    came = await caller.run("vectors.import", {"file_id": left["result"]["file_id"], "collection": copy})

    made = (await caller.get(f"vectors/collections/{copy}", {})).json()
    assert (left["result"]["records"], came["result"]["records"]) == (0, 0)
    assert (made["engine"], made["metric"], made["dimension"], made["count"]) == ("faiss", "dot", 4, 0)


async def test_a_first_line_says_what_the_file_is_of(caller: Caller) -> None:
    collection = await caller.fill("faiss", "l2", 1)

    left = await caller.run("vectors.export", {"collection": collection})

    first, record = (await caller.content(left["result"]["file_id"])).splitlines()
    assert json.loads(first) == {
        "format": "sutazai.vectors",
        "version": 1,
        "collection": {"name": collection, "engine": "faiss", "dimension": 4, "metric": "l2", "model": None},
    }
    assert json.loads(record)["id"] == "größe/00000"


async def test_texts_are_embedded_and_what_is_there_can_stay(caller: Caller) -> None:
    copy = f"copy-{secrets.token_hex(4)}"
    lines = [json.dumps({"id": name, "text": text}) for name, text in [("a", "Cats sleep."), ("b", "Birds nest.")]]
    file_id = await caller.send("texts.jsonl", "\n".join(lines).encode())
    assert (await caller.post("vectors/store", {"collection": copy, "items": [{"id": "a", "text": "mine"}]})).is_success

    came = await caller.run("vectors.import", {"file_id": file_id, "collection": copy, "if_absent": True})

    found = await caller.records(copy)
    assert came["status"] == "succeeded", came
    assert [(one[0], one[1]) for one in found] == [("a", "mine"), ("b", "Birds nest.")]


async def test_the_model_of_its_texts_comes_along(caller: Caller) -> None:
    collection, copy = f"texts-{secrets.token_hex(4)}", f"copy-{secrets.token_hex(4)}"
    assert (await caller.post("vectors/store", {"collection": collection, "items": [{"text": "mine"}]})).is_success
    model = (await caller.get(f"vectors/collections/{collection}", {})).json()["model"]

    left = await caller.run("vectors.export", {"collection": collection})
    await caller.run("vectors.import", {"file_id": left["result"]["file_id"], "collection": copy})

    assert model
    assert (await caller.get(f"vectors/collections/{copy}", {})).json()["model"] == model


async def test_another_tenants_file_and_collection_are_not_there(
    caller: Caller, other_user: User, gateway: Any
) -> None:
    other = Caller(gateway, other_user)
    collection = await caller.fill("faiss", "l2", 1)
    file_id = await caller.send("mine.jsonl", b'{"id": "a", "vector": [1, 2]}')

    taken = await other.run("vectors.import", {"file_id": file_id, "collection": "theirs"})
    left = await other.run("vectors.export", {"collection": collection})

    assert [(one["status"], one["error"]["code"]) for one in (taken, left)] == [
        ("failed", "vectors.file_not_found"),
        ("failed", "vectors.collection_not_found"),
    ]


async def test_a_broken_line_stores_nothing(caller: Caller) -> None:
    copy = f"copy-{secrets.token_hex(4)}"
    lines = [json.dumps({"id": f"{number}", "vector": [number, 1]}) for number in range(600)]
    file_id = await caller.send("broken.jsonl", "\n".join([*lines, '{"id": "last", "vec']).encode())

    task = await caller.run("vectors.import", {"file_id": file_id, "collection": copy})

    assert (task["status"], task["error"]["code"], task["attempt"]) == ("failed", "tasks.dump_record_invalid", 1)
    assert task["error"]["detail"].startswith("Line 601: Is no JSON")
    assert (await caller.get(f"vectors/collections/{copy}", {})).status_code == 404
