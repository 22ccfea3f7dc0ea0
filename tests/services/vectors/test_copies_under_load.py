"""Copies while others write, through two replicas and at random: what was acknowledged is in the target."""

import asyncio
import random
from typing import Any

import httpx
import pytest

from services.vectors.copies import steps
from shared.schemas import new_id
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.vectors.conftest import Pair
from tests.services.vectors.copying import API, Copying, differences, records_of
from tests.services.vectors.test_collections import COLLECTIONS

_IDS = 60
_OWN = 15


class Writers:
    """Store, patch and delete at random, through both replicas, by `name`; every answer has to be a good one."""

    def __init__(self, pair: Pair, name: str, seed: int) -> None:
        self._pair, self._name, self._random = pair, name, random.Random(seed)
        self.refused: list[str] = []
        self.written = 0
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Writers":
        self._tasks = [asyncio.create_task(self._work(at)) for at in range(4)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._tasks)

    async def _work(self, at: int) -> None:
        while not self._over:
            answer = await self._write(self._pair[at % 2])
            if answer.is_success or (answer.status_code == 404 and answer.json()["code"] == "vectors.record_not_found"):
                self.written += 1
            else:
                self.refused.append(f"{answer.status_code} {answer.text}")
            await asyncio.sleep(0)

    async def _write(self, client: httpx.AsyncClient) -> httpx.Response:
        one, number = f"r{self._random.randrange(_IDS)}", self._random.randrange(10_000)
        record = f"{COLLECTIONS}/{self._name}/records/{one}"
        match self._random.randrange(10):
            case 0 | 1 | 2 | 3:
                ids = self._random.sample(range(_IDS), 3)
                return await self._store(client, [an_item(at, number) for at in ids])
            case 4:
                return await self._store(client, [an_item(int(one[1:]), number)], if_absent=True)
            case 5 | 6:
                return await client.patch(record, json={"metadata": {f"m{number % 5}": number}})
            case 7:
                return await client.delete(record)
            case 8:
                body = {"collection": self._name, "ids": [one, f"r{number % _IDS}"]}
                return await client.post(f"{API}/delete", json=body)
            case _:
                where = {"field": "k", "op": "eq", "value": number % 40}
                return await client.post(f"{API}/delete", json={"collection": self._name, "filter": where})

    async def _store(self, client: httpx.AsyncClient, items: list[dict[str, Any]], **fields: Any) -> httpx.Response:
        return await client.post(f"{API}/store", json={"collection": self._name, "items": items, **fields})


def an_item(at: int, number: int) -> dict[str, Any]:
    return {"id": f"r{at}", "vector": [number + 1, at, 1], "text": f"t{number}", "metadata": {"k": number % 40}}


@pytest.fixture
def copying() -> Copying:
    mark = new_id()[-12:]
    return Copying(f"from-{mark}", f"to-{mark}")


@pytest.fixture(autouse=True)
def many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small collection takes as many steps as a large one."""
    monkeypatch.setattr(steps, "_PAGE", 10)


async def have(client: httpx.AsyncClient, name: str, engine: str) -> None:
    assert (await client.post(COLLECTIONS, json={"name": name, "engine": engine, "dimension": 3})).status_code == 201
    items = [an_item(at, at) for at in range(_IDS)]
    assert (await client.post(f"{API}/store", json={"collection": name, "items": items})).is_success


# Without alias writers go on at the source, so that both are alike is seen when they have stopped, before the end.
@pytest.mark.parametrize(
    ("engine", "to"), [("faiss", "qdrant"), ("qdrant", "faiss"), ("chroma", "faiss"), ("faiss", "chroma")]
)
async def test_what_is_written_while_it_is_copied_is_in_the_target_record_by_record(
    pair: Pair,
    copying: Copying,
    engine: str,
    to: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steps, "_CHANGES", 10)
    monkeypatch.setattr(steps, "_FEW", 6)
    await have(pair[0], copying.source, engine)
    async with Writers(pair, copying.source, seed=7) as writers:
        assert (await copying.begin(pair[1], engine=to)).is_success
        for at in range(25):
            copy = (await copying.step(pair[at % 2])).json()
            if copy["count"] is not None:  # the next would end it
                break
        await until(lambda: writers.written > 60)
    ended = await copying.until(pair[0], "ended")

    source = await records_of(pair[0], copying.source)
    assert writers.refused == []
    assert ended["count"] == len(source)
    assert differences(source, await records_of(pair[1], copying.target)) == []


@pytest.mark.parametrize(("engine", "to"), [("faiss", "qdrant"), ("chroma", "faiss")])
async def test_by_an_alias_no_write_is_lost_and_no_read_fails(
    pair: Pair,
    copying: Copying,
    engine: str,
    to: str,
) -> None:
    """Each writer has ids of its own, so what it was told last of each is what has to be there after the switch."""
    alias = f"now-{new_id()[-12:]}"
    await have(pair[0], copying.source, engine)
    assert (await pair[0].put(f"{API}/aliases/{alias}", json={"collection": copying.source})).is_success
    kept: dict[str, int | None] = {}
    failures: list[str] = []
    where: set[str] = set()
    over = asyncio.Event()

    async def write(at: int) -> None:
        client, number = pair[at % 2], 0
        while not over.is_set():
            number += 1
            one = f"w{at}-{number % 7}"
            item = {"id": one, "vector": [number, at, 1], "metadata": {"number": number}}
            answer = await client.post(f"{API}/store", json={"collection": alias, "items": [item]})
            if not answer.is_success:
                failures.append(answer.text)
                continue
            kept[one] = number
            where.add(answer.json()["collection"])
            if number % 3 == 0:
                changed = await client.patch(
                    f"{COLLECTIONS}/{alias}/records/{one}", json={"metadata": {"number": -number}}
                )
                kept[one] = -number
            elif number % 4 == 0:
                changed = await client.delete(f"{COLLECTIONS}/{alias}/records/{one}")
                kept[one] = None
            else:
                changed = answer
            if not changed.is_success:
                failures.append(changed.text)

    async def read(at: int) -> None:
        while not over.is_set():
            answer = await pair[at % 2].post(f"{API}/search", json={"collection": alias, "vector": [1, 1, 1], "k": 3})
            if not answer.is_success or len(answer.json()["results"]) != 3:
                failures.append(answer.text)

    work = [asyncio.create_task(write(at)) for at in range(3)] + [asyncio.create_task(read(at)) for at in range(2)]
    await copying.begin(pair[1], engine=to, alias=alias)
    ended = await copying.until(pair[0], "ended")
    after = len(where)
    await until(lambda: len(where) == 2)
    over.set()
    await asyncio.gather(*work)

    assert failures == []
    assert (ended["phase"], after >= 1) == ("ended", True)
    assert (await pair[1].get(f"{API}/aliases/{alias}")).json()["collection"] == copying.target
    found = await records_of(pair[1], alias)
    mine = {one: metadata["number"] for one, (_, metadata, _) in found.items() if one.startswith("w")}
    assert mine == {one: number for one, number in kept.items() if number is not None}


class Ceaseless:
    """Store all of their own records again and again by `alias`, without a pause; `kept` is what was acknowledged."""

    def __init__(self, pair: Pair, alias: str) -> None:
        self._pair, self._alias = pair, alias
        self.kept: dict[str, int] = {}
        self.refused: list[str] = []
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Ceaseless":
        self._tasks = [asyncio.create_task(self._work(at)) for at in range(4)]
        await until(lambda: len(self.kept) == 4 * _OWN)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._tasks)

    async def _work(self, at: int) -> None:
        number = 0
        while not self._over:
            number += 1
            ids = [f"w{at}-{n}" for n in range(_OWN)]
            items = [{"id": one, "vector": [number, n, 1], "metadata": {"n": number}} for n, one in enumerate(ids)]
            answer = await self._pair[at % 2].post(f"{API}/store", json={"collection": self._alias, "items": items})
            if answer.is_success:
                self.kept |= dict.fromkeys(ids, number)
            else:
                self.refused.append(f"{answer.status_code} {answer.text}")


@pytest.fixture
async def alias(pair: Pair, copying: Copying) -> str:
    name = f"now-{new_id()[-12:]}"
    await have(pair[0], copying.source, "faiss")
    assert (await pair[0].put(f"{API}/aliases/{name}", json={"collection": copying.source})).is_success
    return name


@pytest.fixture
def never_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what a handful of writers write at once is too much at any moment."""
    monkeypatch.setattr(steps, "_PAGE", 256)
    monkeypatch.setattr(steps, "_FEW", 0)
    monkeypatch.setattr(steps, "_PATIENCE", 4)


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("never_few")
async def test_a_copy_ends_though_its_writers_never_pause(pair: Pair, copying: Copying, alias: str) -> None:
    async with Ceaseless(pair, alias) as writers:
        assert (await copying.begin(pair[1], engine="qdrant", alias=alias)).is_success
        ended = await copying.until(pair[0], "ended")

    assert (ended["phase"], writers.refused) == ("ended", [])
    assert (await pair[1].get(f"{API}/aliases/{alias}")).json()["collection"] == copying.target
    found = await records_of(pair[1], alias)
    assert {one: metadata["n"] for one, (_, metadata, _) in found.items() if one.startswith("w")} == writers.kept


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("never_few")
async def test_a_copy_that_is_outrun_even_so_says_it(
    pair: Pair, copying: Copying, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_PATIENCE", 0)  # so that what was written during the scan is left
    monkeypatch.setattr(steps, "_CLOSED_SECONDS", 0)  # and no time for it
    monkeypatch.setattr(steps, "_MOST_CLOSED", 3)
    async with Ceaseless(pair, alias) as writers:
        assert (await copying.begin(pair[1], engine="qdrant", alias=alias)).is_success
        answers = [await copying.step(pair[0])]
        while answers[-1].is_success and answers[-1].json()["phase"] != "ended":
            answers.append(await copying.step(pair[len(answers) % 2]))

    assert (answers[-1].status_code, answers[-1].json()["code"]) == (409, "vectors.copy_outrun")
    assert writers.refused == []
    assert (await pair[1].get(f"{API}/aliases/{alias}")).json()["collection"] == copying.source


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - the workers work
            await asyncio.sleep(0.01)
