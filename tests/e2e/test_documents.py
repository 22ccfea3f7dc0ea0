"""A folder of documents as a user brings it: uploaded, ingested, searched in each language, chatted over; all through
the gateway."""

import secrets
from typing import Any

import httpx
import pytest

from tests.data.documents.make import FOLDER, QUESTIONS, documents
from tests.e2e.test_journey import API, create_agent, finished
from tests.fixtures.identity import User
from tests.unit.tasks.test_documents import PNG, encrypted_pdf


async def upload(gateway: httpx.AsyncClient, user: User, name: str, content: bytes) -> str:
    answer = await gateway.post(f"{API}/vectors/files", files={"file": (name, content)}, headers=user.headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def ingest(gateway: httpx.AsyncClient, user: User, **given: Any) -> dict[str, Any]:
    body = {"kind": "vectors.ingest", "input": given}
    submitted = await gateway.post(f"{API}/tasks/submit", json=body, headers=user.headers)
    assert submitted.status_code == 202, submitted.text
    return await finished(gateway, user, submitted.json()["id"])


async def records(gateway: httpx.AsyncClient, user: User, collection: str, document: str) -> list[dict[str, Any]]:
    asked = {"filter": f'{{"field": "document_id", "op": "eq", "value": "{document}"}}', "limit": "100"}
    answer = await gateway.get(f"{API}/vectors/collections/{collection}/records", params=asked, headers=user.headers)
    return sorted(answer.raise_for_status().json()["items"], key=lambda record: record["metadata"]["chunk"])


@pytest.mark.timeout(300)
async def test_a_folder_of_twelve_files_answers_in_five_languages(gateway: httpx.AsyncClient, user: User) -> None:
    collection = f"folder-{secrets.token_hex(4)}"
    ids = {name: await upload(gateway, user, name, content) for name, content in documents().items()}
    given = [{"id": name, "file_id": file_id} for name, file_id in ids.items()]

    task = await ingest(gateway, user, collection=collection, engine="qdrant", documents=given)
    again = await ingest(gateway, user, collection=collection, documents=given)

    assert task["status"] == "succeeded", task
    assert (task["result"]["documents"], task["result"]["unchanged"]) == (12, 0)
    assert task["progress"]["done"] == task["progress"]["total"] == task["result"]["chunks"] >= 12
    assert again["result"]["unchanged"] == again["result"]["chunks"] == task["result"]["chunks"]
    first = {}
    for name, question in QUESTIONS.items():
        search = {"collection": collection, "query": question, "k": 1}
        found = await gateway.post(f"{API}/vectors/search", json=search, headers=user.headers)
        first[name] = found.raise_for_status().json()["results"][0]["metadata"]["document_id"]
    assert first == {name: name for name in QUESTIONS}
    tickets = (await records(gateway, user, collection, "museum.pdf"))[-1]["metadata"]
    assert (tickets["headings"], tickets["page"]) == (["Tickets"], 2)


@pytest.mark.timeout(240)
async def test_a_document_is_chatted_over(gateway: httpx.AsyncClient, user: User) -> None:
    collection = f"rent-{secrets.token_hex(4)}"
    file_id = await upload(gateway, user, "alquiler.docx", (FOLDER / "alquiler.docx").read_bytes())
    await ingest(gateway, user, collection=collection, engine="faiss", documents=[{"id": "rent", "file_id": file_id}])
    agent = await create_agent(gateway, user, [collection])

    body = {"agent_id": agent["id"], "content": QUESTIONS["alquiler.docx"]}
    answer = (await gateway.post(f"{API}/chat/message", json=body, headers=user.headers)).raise_for_status().json()

    assert "1.400 euros" in answer["message"]["citations"][0]["text"]


@pytest.mark.parametrize("engine", ["qdrant", "chroma", "faiss"])
async def test_what_a_document_no_longer_has_goes(gateway: httpx.AsyncClient, user: User, engine: str) -> None:
    collection = f"shorter-{engine}-{secrets.token_hex(4)}"
    texts = ["# A\n\none\n\n# B\n\ntwo\n\n# C\n\nthree", "# A\n\none\n\n# C\n\nthree", "# A\n\nanother", ""]
    kept = []
    for text in texts:
        document = {"id": "d", "text": text, "type": "markdown"}
        task = await ingest(gateway, user, collection=collection, engine=engine, documents=[document])
        found = await records(gateway, user, collection, "d")
        kept.append((task["result"]["unchanged"], [record["text"] for record in found]))

    assert kept == [
        (0, ["A\n\none", "B\n\ntwo", "C\n\nthree"]),
        (1, ["A\n\none", "C\n\nthree"]),
        (0, ["A\n\nanother"]),
        (0, []),
    ]


async def test_what_cannot_be_read_fails_its_task_with_a_code(
    gateway: httpx.AsyncClient, user: User, other_user: User
) -> None:
    given = {
        "tasks.document_encrypted": {"file_id": await upload(gateway, user, "a.pdf", encrypted_pdf())},
        "tasks.document_type_unknown": {"file_id": await upload(gateway, user, "b.png", PNG)},
        "tasks.document_type_wrong": {"file_id": await upload(gateway, user, "c.pdf", PNG)},
        "vectors.file_not_found": {"file_id": await upload(gateway, other_user, "d.txt", b"theirs")},
    }
    collection = f"refused-{secrets.token_hex(4)}"

    tasks = {
        code: await ingest(gateway, user, collection=collection, documents=[{"id": "d", **document}])
        for code, document in given.items()
    }

    assert {code: (task["status"], task["error"]["code"]) for code, task in tasks.items()} == {
        code: ("failed", code) for code in given
    }
    assert {task["attempt"] for task in tasks.values()} == {1}
