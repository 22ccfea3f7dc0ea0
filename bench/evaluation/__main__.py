"""`make eval`: how well searches find, what of it reaches the model and what it makes of that, through the gateway.

`ARGS=--no-answers` leaves out the last, which takes the built-in model some minutes; `ARGS="--each 2"` asks it two
questions about each document.
"""

import argparse
import asyncio
import itertools
import secrets
from typing import Any

import httpx

from bench.evaluation import API, evaluate
from bench.evaluation.answers import ALL, Answered, answers_to, by_document
from bench.evaluation.questions import DEMO, Question, demo_questions, demo_to_ingest, documents, questions, to_ingest
from bench.evaluation.reach import reached, usual
from local.suite import Suite

_INGEST_SECONDS = 300
_COLLECTIONS = 3  # that the documents are spread over, to see what that costs


async def main(each: int | None) -> None:
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
        await _passages(client, token, each)


async def _passages(client: httpx.AsyncClient, token: str, each: int | None) -> None:
    """Ingest the documents, once into one collection and once into several, and the demo's; ask about them."""
    names, run = list(documents()), secrets.token_hex(4)
    alone, demo = [f"reach-{run}"], [f"demo-{run}"]
    several = [f"reach-{run}-{at}" for at in range(_COLLECTIONS)]
    try:
        await _ingest(client, alone[0], to_ingest(names))
        await _ingest(client, demo[0], demo_to_ingest())
        for at, name in enumerate(several):
            await _ingest(client, name, to_ingest(names[at::_COLLECTIONS]))
        print("what reaches the model")
        await _reach(client, token, "one collection", alone, questions())
        await _reach(client, token, f"{_COLLECTIONS} collections", several, questions())
        await _reach(client, token, "the demo's", demo, demo_questions())
        if each != 0:
            await _answers(client, {alone[0]: _first(each, questions()), demo[0]: _first(each, demo_questions())})
    finally:
        for name in (*alone, *several, *demo):
            await client.delete(f"{API}/collections/{name}")


async def _reach(
    client: httpx.AsyncClient, token: str, label: str, collections: list[str], asked: list[Question]
) -> None:
    found = await reached(client, token, collections, usual(), asked)
    of = found.questions
    hits = f"hit@1 {found.first}/{of}   hit@4 {found.among_four}/{of}   reach {found.reach}/{of}"
    print(f"    {label:14} {hits}   quoted {found.quoted}/{of}")
    for question in found.missed:
        print(f"        not reached: {question}", flush=True)


async def _answers(client: httpx.AsyncClient, asked: dict[str, list[Question]]) -> None:
    """What each collection's questions are answered, and the figures of each language and of the demo."""
    print("what the model makes of it", flush=True)
    made = []
    for name, some in asked.items():
        async for one in answers_to(client, [name], some):
            made.append(one)
            said = one.content if one.model else "no answer"
            print(f"    {'+' if one.holds_the_fact else '-'} {one.asked.question}\n        {said}", flush=True)
    models = {one.model for one in made if one.model}
    print(f"by {', '.join(sorted(models)) or 'no model that answered'}")
    forty = [one for one in made if one.asked.document != DEMO]
    for name, figures in {**by_document(made), ALL: Answered.of(forty)}.items():
        print(f"    {name:8} {figures}")


def _first(each: int | None, asked: list[Question]) -> list[Question]:
    """All of them, or so many about each document."""
    by_name = itertools.groupby(asked, lambda one: one.document)
    return [one for _, some in by_name for one in itertools.islice(some, each)]


async def _ingest(client: httpx.AsyncClient, collection: str, items: list[dict[str, Any]]) -> None:
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
    parser.add_argument("--no-answers", action="store_const", dest="each", const=0, help="ask no model")
    parser.add_argument("--each", type=int, help="so many questions about each document, of forty and of the demo's")
    asyncio.run(main(parser.parse_args().each))
