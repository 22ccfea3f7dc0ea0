"""`/files` in OpenAI's shape: files of `/vectors/files`, and only those that something reads."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest

from services.tasks.documents.sources import type_of
from services.vectors.openai_files.judging import READABLE
from shared.errors import StorageFull
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser
from tests.fixtures.patience import PATIENCE_SECONDS

FILES, KEPT = "/api/v1/files", "/api/v1/vectors/files"
GUIDE = b"# Refunds\n\nRefunds are paid within 14 days.\n"


async def upload(
    client: httpx.AsyncClient,
    content: bytes = GUIDE,
    /,
    name: str = "guide.md",
    purpose: str = "assistants",
    **headers: str,
) -> httpx.Response:
    form: dict[str, tuple[str | None, bytes | str]]
    form = {"file": (name, content), "purpose": (None, purpose)}  # in the order of OpenAI's JavaScript client
    return await client.post(FILES, files=form, headers=headers)


async def made(client: httpx.AsyncClient, content: bytes = GUIDE, /, **about: str) -> dict[str, Any]:
    answer = await upload(client, content, **about)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


async def test_a_file_is_one_of_ours_in_another_shape(client: httpx.AsyncClient) -> None:
    file = await made(client, purpose="user_data")

    ours = (await client.get(f"{KEPT}/{file['id']}")).json()
    content = await client.get(f"{FILES}/{file['id']}/content")
    assert (ours["name"], ours["bytes"], ours["media_type"]) == ("guide.md", len(GUIDE), "text/markdown")
    assert {name: file[name] for name in ("object", "bytes", "filename", "purpose", "status")} == {
        "object": "file",
        "bytes": len(GUIDE),
        "filename": "guide.md",
        "purpose": "user_data",
        "status": "processed",
    }
    assert (await client.get(f"{FILES}/{file['id']}")).json() == file
    assert (content.content, content.headers["Content-Type"]) == (GUIDE, "text/markdown; charset=utf-8")


async def test_what_came_by_our_own_door_is_there_too(client: httpx.AsyncClient) -> None:
    ours = (await client.post(KEPT, files={"file": ("a.png", b"\x89PNG\r\n\x1a\n")})).json()

    file = (await client.get(f"{FILES}/{ours['id']}")).json()

    listed = (await client.get(FILES, params={"purpose": "assistants"})).json()
    assert (file["purpose"], file["filename"]) == ("assistants", "a.png")
    assert file in listed["data"]


async def test_a_download_goes_on_where_it_broke_off_and_is_not_sent_twice(client: httpx.AsyncClient) -> None:
    place = f"{FILES}/{(await made(client))['id']}/content"
    whole = await client.get(place)
    tag = whole.headers["ETag"]

    part = await client.get(place, headers={"Range": "bytes=0-3", "If-Range": tag})
    beyond = await client.get(place, headers={"Range": "bytes=1000-"})
    asked = await client.head(place, headers={"Range": "bytes=0-3"})

    assert whole.headers["Accept-Ranges"] == "bytes"
    assert (part.status_code, part.content) == (206, GUIDE[:4])
    assert part.headers["Content-Range"] == asked.headers["Content-Range"] == f"bytes 0-3/{len(GUIDE)}"
    assert (asked.status_code, asked.content) == (206, b"")
    assert refusal(beyond) == (416, "vectors.range_unsatisfiable", None)
    assert (await client.get(place, headers={"If-None-Match": tag})).status_code == 304
    assert refusal(await client.get(place, headers={"If-Match": '"other"'}))[:2] == (412, "common.precondition_failed")


async def test_the_purpose_may_come_before_the_file(client: httpx.AsyncClient) -> None:
    form: dict[str, tuple[str | None, bytes | str]] = {"purpose": (None, "assistants"), "file": ("guide.md", GUIDE)}

    assert (await client.post(FILES, files=form)).status_code == 200


@pytest.mark.parametrize(
    ("content", "name", "purpose", "refused"),
    [
        (b"", "empty.txt", "assistants", (400, "vectors.file_empty", "file")),
        (b"\x89PNG\r\n\x1a\n", "notes.txt", "assistants", (400, "vectors.file_unreadable", "file")),
        (GUIDE, "guide.md", "fine-tune", (400, "vectors.purpose_unsupported", "purpose")),
        (GUIDE, "guide.md", "x" * 300, (400, "common.invalid", "purpose")),
        (GUIDE, "..", "assistants", (400, "common.invalid", "file")),
    ],
    ids=["empty", "unreadable", "purpose", "long purpose", "name"],
)
async def test_what_nobody_reads_is_refused_and_not_kept(
    register_user: RegisterUser, client: httpx.AsyncClient, content: bytes, name: str, purpose: str, refused: Any
) -> None:
    other = (await register_user()).headers

    answer = await upload(client, content, name, purpose, **other)

    assert refusal(answer) == refused
    assert await no_files(client, other)


async def test_what_is_refused_under_a_key_is_not_kept_either_and_may_be_corrected(
    register_user: RegisterUser, client: httpx.AsyncClient
) -> None:
    other, key = (await register_user()).headers, {"Idempotency-Key": new_id()}

    refused = await upload(client, purpose="fine-tune", **other, **key)
    is_gone = await no_files(client, other)
    corrected = await upload(client, **other, **key)
    again = await upload(client, purpose="fine-tune", **other, **key)

    assert refusal(refused)[:2] == (400, "vectors.purpose_unsupported")
    assert is_gone
    assert corrected.status_code == 200
    assert refusal(again)[:2] == (400, "vectors.purpose_unsupported")
    there = (await client.get(FILES, headers=other)).json()["data"]
    assert [one["id"] for one in there] == [corrected.json()["id"]], "what is there already is not refused with it"


async def no_files(client: httpx.AsyncClient, headers: dict[str, str]) -> bool:
    """What is taken away is taken away behind the answer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await client.get(KEPT, headers=headers)).json()["items"]:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    return True


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"file": ("a.txt", b"a")}, "purpose"),
        ({"purpose": (None, "assistants")}, "file"),
        ({"file": ("a.txt", b"a"), "purpose": (None, "assistants"), "expires_after[days]": (None, "1")}, None),
    ],
    ids=["no purpose", "no file", "expiry"],
)
async def test_a_form_that_lacks_something_or_has_too_much_is_refused(
    client: httpx.AsyncClient, form: dict[str, Any], param: str | None
) -> None:
    status, code, blamed = refusal(await client.post(FILES, files=form))

    assert (status, code, blamed) == (400, "common.invalid", param or "expires_after[days]")


async def test_a_file_over_the_limit_is_413(
    open_vectors: ServiceClient, register_user: RegisterUser, tmp_path: Path
) -> None:
    other = (await register_user()).headers
    async with open_vectors("vectors", files_max_bytes=1000, data_dir=tmp_path) as small:
        told = await upload(small, b"a" * 1001, **other)
        too_long = await upload(small, b"a" * 20_000, **other)

    assert refusal(told)[:2] == refusal(too_long)[:2] == (413, "common.too_large")


@pytest.mark.parametrize(
    ("where", "happens", "refused"),
    [
        ("shared.storage.Storage.require_room", {"side_effect": StorageFull()}, (507, "common.storage_full", None)),
        ("shared.limits.Shares.take", {"return_value": None}, (503, "common.unavailable", None)),
    ],
    ids=["disk", "places"],
)
async def test_who_is_refused_for_want_of_room_is_heard_out(
    client: httpx.AsyncClient, where: str, happens: dict[str, Any], refused: Any
) -> None:
    """Else the gateway closes the connection under whoever sends, who never learns why, and sends it all again."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        for _ in range(64):
            sent += 1
            yield b"a" * 2**16

    with mock.patch(where, **happens):
        form = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = await client.post(FILES, content=body(), headers=form)

    assert (refusal(answer), sent) == (refused, 64)
    assert "Retry-After" in answer.headers


async def test_a_repetition_under_a_key_makes_one_file(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": new_id()}

    first, second = await upload(client, **key), await upload(client, **key)
    other = await upload(client, purpose="user_data", **key)

    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert refusal(other)[:2] == (400, "common.idempotency_key_reused")


async def test_files_are_listed_by_age_in_pages(register_user: RegisterUser, client: httpx.AsyncClient) -> None:
    other = (await register_user()).headers
    ids = [(await made(client, **other))["id"] for _ in range(2)]
    ids.append((await made(client, purpose="user_data", **other))["id"])

    async def page(**query: Any) -> dict[str, Any]:
        answer = await client.get(FILES, params=query, headers=other)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    newest = await page(limit=2)
    assert ([file["id"] for file in newest["data"]], newest["has_more"]) == (ids[:0:-1], True)
    assert (newest["first_id"], newest["last_id"]) == (ids[2], ids[1])
    last = await page(limit=2, after=newest["last_id"])
    assert ([file["id"] for file in last["data"]], last["has_more"]) == (ids[:1], False)
    assert [file["id"] for file in (await page(order="asc"))["data"]] == ids
    assert [file["id"] for file in (await page(purpose="user_data"))["data"]] == ids[2:]


async def test_an_upload_under_way_is_no_file_yet(client: httpx.AsyncClient, register_user: RegisterUser) -> None:
    other = (await register_user()).headers
    began = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Metadata": "filename YS50eHQ="}
    file_id = (await client.post(KEPT, headers=other | began)).json()["id"]

    assert (await client.get(FILES, headers=other)).json()["data"] == []
    assert refusal(await client.get(f"{FILES}/{file_id}", headers=other))[:2] == (409, "vectors.file_unfinished")


async def test_a_deleted_file_is_gone_by_both_doors(client: httpx.AsyncClient) -> None:
    file_id = (await made(client))["id"]

    assert (await client.delete(f"{FILES}/{file_id}")).json() == {"id": file_id, "object": "file", "deleted": True}
    assert refusal(await client.delete(f"{FILES}/{file_id}"))[:2] == (404, "vectors.file_not_found")
    assert (await client.get(f"{KEPT}/{file_id}")).status_code == 404


async def test_another_tenant_sees_none_of_it(client: httpx.AsyncClient, register_user: RegisterUser) -> None:
    file_id, other = (await made(client))["id"], (await register_user()).headers

    assert (await client.get(f"{FILES}/{file_id}", headers=other)).status_code == 404
    assert (await client.get(f"{FILES}/{file_id}/content", headers=other)).status_code == 404
    assert (await client.delete(f"{FILES}/{file_id}", headers=other)).status_code == 404


@pytest.mark.parametrize("media_type", READABLE)
def test_what_is_taken_is_what_ingestion_reads(media_type: str) -> None:
    name = "a.tsv" if media_type.endswith("values") else "a"

    assert type_of(name, {"media_type": media_type, "name": name})
