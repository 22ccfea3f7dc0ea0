"""`make eval`: how well searches find, what of it reaches the model and what it makes of that, through the gateway.

`ARGS=--no-answers` leaves out the last, which takes the built-in model some minutes.
"""

import argparse
import asyncio
import secrets
from typing import Any

import httpx

from bench.evaluation import API, evaluate
from bench.evaluation.reach import answered, documents, reached, usual
from local.suite import Suite

_INGEST_SECONDS = 300
_COLLECTIONS = 3  # that the documents are spread over, to see what that costs


async def main(*, with_answers: bool) -> None:
    suite = Suite.as_started()
    suite.up()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{suite.site.ports['gateway']}", timeout=120) as client:
        token = await _log_in(client)
        engines = (await client.get(f"{API}/engines")).raise_for_status().json()["items"]
        for engine in engines:
            print(f"{engine['name']}: {engine['backend']}")
            for one in await evaluate(client, engine["name"], engine["modes"]):
                figures = f"first {one.first:2}/{one.questions}   among four {one.among_four:2}/{one.questions}"
                print(f"    {one.mode:8} {figures}", flush=True)
        await _reach(client, token, with_answers=with_answers)


async def _reach(client: httpx.AsyncClient, token: str, *, with_answers: bool) -> None:
    """Ingest the documents of `reach.py`, once into one collection and once into several, and ask about them."""
    names, run = list(documents()), secrets.token_hex(4)
    alone = [f"reach-{run}"]
    several = [f"reach-{run}-{at}" for at in range(_COLLECTIONS)]
    try:
        await _ingest(client, alone[0], names)
        for at, name in enumerate(several):
            await _ingest(client, name, names[at::_COLLECTIONS])
        print("what reaches the model")
        for label, collections in (("one collection", alone), (f"{_COLLECTIONS} collections", several)):
            found = await reached(client, token, collections, usual())
            of = found.questions
            print(f"    {label:14} hit@1 {found.first}/{of}   hit@4 {found.among_four}/{of}   reach {found.reach}/{of}")
            for question in found.missed:
                print(f"        not reached: {question}", flush=True)
        if with_answers:
            await _answers(client, alone)
    finally:
        for name in (*alone, *several):
            await client.delete(f"{API}/collections/{name}")


async def _answers(client: httpx.AsyncClient, collections: list[str]) -> None:
    made = await answered(client, collections)
    print("what the model makes of it")
    print(f"    the answer holds the fact {made.facts}/{made.questions}", end="   ")
    print(f"it or a citation {made.facts_or_sources}/{made.questions}", end="   ")
    print(f"citation precision {made.cited_rightly}/{made.cited}")


async def _ingest(client: httpx.AsyncClient, collection: str, names: list[str]) -> None:
    texts = documents()
    items = [{"id": one, "text": texts[one], "type": "html" if one.endswith("html") else "text"} for one in names]
    body = {"kind": "vectors.ingest", "input": {"collection": collection, "engine": "qdrant", "documents": items}}
    task: dict[str, Any] = (await client.post("/api/v1/tasks/submit", json=body)).raise_for_status().json()
    async with asyncio.timeout(_INGEST_SECONDS):
        while task["status"] in ("queued", "running"):
            await asyncio.sleep(0.3)
            task = (await client.get(f"/api/v1/tasks/status/{task['id']}")).raise_for_status().json()
    if task["status"] != "succeeded":
        raise SystemExit(f"the documents were not taken in: {task['error']}")


async def _log_in(client: httpx.AsyncClient) -> str:
    email, password = f"eval-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(16)
    (await client.post("/api/v1/auth/register", json={"email": email, "password": password})).raise_for_status()
    form = {"grant_type": "password", "username": email, "password": password}
    token: str = (await client.post("/api/v1/auth/token", data=form)).raise_for_status().json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return token


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-answers", action="store_true")
    asyncio.run(main(with_answers=not parser.parse_args().no_answers))
