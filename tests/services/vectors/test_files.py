"""`/vectors/files`: what is uploaded whole, read, listed and deleted, over the real app and a folder."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.vectors.files.domain import PART_BYTES
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser
from tests.fixtures.patience import PATIENCE_SECONDS

FILES = "/api/v1/vectors/files"
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 9_000  # of more than two parts


async def upload(client: httpx.AsyncClient, content: bytes, name: str = "a.txt", **headers: str) -> httpx.Response:
    return await client.post(FILES, files={"file": (name, content, "image/png")}, headers=headers)


async def made(client: httpx.AsyncClient, content: bytes, name: str = "a.txt", **headers: str) -> dict[str, Any]:
    answer = await upload(client, content, name, **headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def code(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, None if answer.is_success else answer.json()["code"]


async def test_a_file_is_kept_as_it_was_and_is_what_its_content_says(client: httpx.AsyncClient) -> None:
    answer = await upload(client, PDF, "Bericht 2026 “neu” für.png")
    file = answer.json()
    place = answer.headers["Location"]
    content = await client.get(f"{place}/content")

    assert (answer.status_code, place) == (201, f"{FILES}/{file['id']}")
    assert file["media_type"] == content.headers["Content-Type"] == "application/pdf"
    assert (file["bytes"], file["received"], file["status"], file["expires_at"]) == (len(PDF), len(PDF), "ready", None)
    assert (await client.get(place)).json() == file
    assert content.content == PDF
    assert content.headers["Content-Length"] == str(len(PDF))
    assert content.headers["X-Content-Type-Options"] == "nosniff"
    assert content.headers["Content-Disposition"] == (
        'attachment; filename="Bericht 2026 _neu_ f_r.png"; '
        "filename*=UTF-8''Bericht%202026%20%E2%80%9Cneu%E2%80%9D%20f%C3%BCr.png"
    )


@pytest.mark.parametrize("length", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])
async def test_a_file_may_have_any_length(client: httpx.AsyncClient, length: int) -> None:
    content = bytes(at % 251 for at in range(length))

    file = await made(client, content)

    assert (file["bytes"], file["status"]) == (length, "ready")
    assert (await client.get(f"{FILES}/{file['id']}/content")).content == content


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        (f"bytes={PART_BYTES - 3}-{PART_BYTES + 2}", PART_BYTES - 3, PART_BYTES + 3),
        ("bytes=2000000-", 2_000_000, len(PDF)),
        ("bytes=-5", len(PDF) - 5, len(PDF)),
        (f"bytes=-{len(PDF) * 2}", 0, len(PDF)),
        (f"bytes=10-{len(PDF) * 2}", 10, len(PDF)),
    ],
)
async def test_a_range_is_answered_with_its_bytes(client: httpx.AsyncClient, asked: str, start: int, end: int) -> None:
    file = await made(client, PDF)

    part = await client.get(f"{FILES}/{file['id']}/content", headers={"Range": asked})

    assert (part.status_code, part.content) == (206, PDF[start:end])
    assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(PDF)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "lines=0-1", "bytes=-", "bytes=5-3", "x"])
async def test_what_is_no_range_is_answered_with_all(client: httpx.AsyncClient, asked: str) -> None:
    file = await made(client, b"0123456789")

    answer = await client.get(f"{FILES}/{file['id']}/content", headers={"Range": asked})

    assert (answer.status_code, answer.content) == (200, b"0123456789")


async def test_conditions_are_kept(client: httpx.AsyncClient) -> None:
    place = f"{FILES}/{(await made(client, b'0123456789'))['id']}"
    tag = (await client.get(f"{place}/content")).headers["ETag"]

    async def read(**headers: str) -> httpx.Response:
        return await client.get(f"{place}/content", headers={name.replace("_", "-"): headers[name] for name in headers})

    beyond = await read(Range="bytes=10-")
    assert (beyond.status_code, beyond.json()["code"]) == (416, "vectors.range_unsatisfiable")
    assert beyond.headers["Content-Range"] == "bytes */10"
    for form in ("{}", "W/{}", '"other" , {}', '"other",{}', "*"):
        assert (await read(If_None_Match=form.format(tag))).status_code == 304, form
    assert (await read(If_None_Match='"other"')).status_code == 200
    assert (await read(Range="bytes=0-1", If_Range=tag)).content == b"01"
    assert (await read(Range="bytes=0-1", If_Range='"other"')).content == b"0123456789"
    assert code(await client.delete(place, headers={"If-Match": '"other"'})) == (412, "common.precondition_failed")
    whole = (await client.get(place)).headers["ETag"]
    assert (await client.delete(place, headers={"If-Match": whole})).status_code == 204


async def test_what_is_deleted_is_gone(client: httpx.AsyncClient) -> None:
    place = f"{FILES}/{(await made(client, PDF))['id']}"

    assert (await client.delete(place)).status_code == 204

    gone = (404, "vectors.file_not_found")
    assert [code(await client.request(method, place)) for method in ("GET", "DELETE")] == [gone, gone]
    assert code(await client.get(f"{place}/content")) == gone


async def test_a_list_has_all_of_a_tenants_files_and_no_other(
    client: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    ours, theirs = [(await register_user()).headers for _ in range(2)]
    names = [f"{at}.txt" for at in range(5)]
    ids = [(await made(client, b"x", name, **ours))["id"] for name in names]

    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while len(seen) <= len(names):
        page = (await client.get(FILES, params={"limit": "2", **cursor}, headers=ours)).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert [(one["id"], one["name"]) for one in seen] == list(zip(ids, names, strict=True))
    assert (await client.get(FILES, headers=theirs)).json()["items"] == []
    assert code(await client.get(FILES, params=cursor, headers=theirs)) == (422, "common.invalid")
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answer = await client.request(method, f"{FILES}/{ids[0]}{path}", headers=theirs)
        assert code(answer) == (404, "vectors.file_not_found")


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.pdf", b"plainly text", "text/plain"),
        ("a.pdf", b"\x89PNG\r\n\x1a\n\x00", "image/png"),
        ("a.txt", b"%PDF-1.4", "application/pdf"),
        ("a.md", b"# A title", "text/markdown"),
        ("a.csv", "größe,1".encode(), "text/csv"),
        ("a.csv", b"\x00\x01", "application/octet-stream"),
        ("a.json", b'{"a": 1}', "application/json"),
        ("a", b' [{"a": 1}]', "application/json"),
        ("a", b"[a note]", "text/plain"),
        ("a", b"\n<!-- x --><!DOCTYPE html><p>", "text/html"),
        ("a", b" <!--x--> <!-- y -->\n<html>", "text/html"),
        ("a", b"<!---->" * 285, "text/plain"),  # not in twice the time each, which would not end
        ("a.txt", b"<html><p>", "text/html"),
        ("a", "größe".encode("utf-16"), "text/plain"),
        ("a", "größe".encode("latin-1"), "text/plain"),
        ("html", b"one", "text/plain"),
        ("a.exe", b"", "text/plain"),
    ],
)
async def test_what_a_file_is_its_content_says(
    client: httpx.AsyncClient, name: str, content: bytes, media_type: str
) -> None:
    assert (await made(client, content, name))["media_type"] == media_type


@pytest.mark.parametrize(
    ("inside", "media_type"),
    [
        ("word/document.xml", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("xl/workbook.xml", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.txt", "application/zip"),
    ],
)
async def test_an_archive_is_what_it_holds(client: httpx.AsyncClient, inside: str, media_type: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("media/large.bin", bytes(2 * PART_BYTES))
        writing.writestr(inside, "word/document.xml" * 10)

    assert (await made(client, archive.getvalue(), "a.docx"))["media_type"] == media_type


@pytest.mark.parametrize("name", ["a/b", "..", ".", "a\tb", "a\u2028b", "x" * 256])
async def test_a_name_names_a_file_and_nothing_else(client: httpx.AsyncClient, name: str) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n1\r\n--x--\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=x"}

    refused = await client.post(FILES, content=head.encode(), headers=form)

    assert code(refused) == (422, "common.invalid")
    assert refused.json()["errors"][0]["pointer"] == "/file"


FORM = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n1\r\n'
FILE = FORM.format("file", '; filename="a"')


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (FORM.format("purpose", "") + FILE + "--x--\r\n", "/purpose"),
        (FILE + FORM.format("purpose", "") + "--x--\r\n", "/purpose"),
        (FILE + FILE + "--x--\r\n", "/file"),
        ("--x--\r\n", "/file"),
        (FORM.format("file", "") + "--x--\r\n", "/file"),
    ],
)
async def test_a_form_holds_one_file_and_nothing_else(
    client: httpx.AsyncClient, register_user: RegisterUser, body: str, pointer: str
) -> None:
    headers = (await register_user()).headers | {"Content-Type": "multipart/form-data; boundary=x"}

    refused = await client.post(FILES, content=body.encode(), headers=headers)

    assert code(refused) == (422, "common.invalid")
    assert refused.json()["errors"][0]["pointer"] == pointer
    await nothing_is_left(client, headers)


async def nothing_is_left(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Soon: whoever is refused does not wait for it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await client.get(FILES, headers=headers)).json()["items"]:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("content_type", "body", "refusal"),
    [
        ("application/json", "{}", (415, "common.unsupported_media_type")),
        ("", "", (415, "common.unsupported_media_type")),
        ("multipart/form-data", FILE + "--x--\r\n", (422, "common.invalid")),
        ("multipart/form-data; boundary=x", "no form", (422, "common.invalid")),
        ("multipart/form-data; boundary=x", FILE, (422, "common.invalid")),
        ("multipart/form-data; boundary=x", FILE[:-6], (422, "common.invalid")),
        (f"multipart/form-data; boundary={'x' * 300}", FILE, (422, "common.invalid")),
    ],
)
async def test_what_is_no_whole_form_is_refused(
    client: httpx.AsyncClient, content_type: str, body: str, refusal: tuple[int, str]
) -> None:
    assert code(await client.post(FILES, content=body, headers={"Content-Type": content_type})) == refusal


@pytest.fixture
async def small(open_vectors: ServiceClient, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A service that takes files of a MiB and a half."""
    async with open_vectors("vectors", data_dir=tmp_path, files_max_bytes=3 * PART_BYTES // 2) as opened:
        yield opened


async def test_a_file_is_too_large_as_soon_as_it_is_known(
    small: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    headers, read = (await register_user()).headers, 0
    form = headers | {"Content-Type": "multipart/form-data; boundary=x"}

    async def body(parts: int) -> AsyncIterator[bytes]:
        nonlocal read
        yield FILE[:-3].encode()
        for _ in range(parts):
            read += 1
            yield bytes(PART_BYTES // 8)

    told = await small.post(FILES, content=body(1), headers=form | {"Content-Length": str(2 * PART_BYTES)})
    assert (code(told), read) == ((413, "common.too_large"), 1), "only what still came is taken"
    assert code(await small.post(FILES, content=body(64), headers=form)) == (413, "common.too_large")
    await nothing_is_left(small, headers)
    assert (await upload(small, bytes(3 * PART_BYTES // 2), **headers)).status_code == 201
    assert code(await upload(small, bytes(3 * PART_BYTES // 2 + 1), **headers)) == (413, "common.too_large")


async def test_under_a_key_a_file_is_made_once(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": new_id()}
    first = await upload(client, PDF, "a.pdf", **key)

    again = await upload(client, PDF, "a.pdf", **key)

    assert (again.status_code, again.json()) == (201, first.json())
    assert [one.headers.get("Idempotency-Replayed") for one in (first, again)] == [None, "true"]
    for content, name in ((PDF[:-1], "a.pdf"), (PDF + b"1", "a.pdf"), (PDF[:PART_BYTES], "a.pdf"), (PDF, "b.pdf")):
        assert code(await upload(client, content, name, **key)) == (422, "common.idempotency_key_reused")
    assert (await client.get(f"{FILES}/{first.json()['id']}/content")).content == PDF


async def test_a_file_that_is_made_anew_under_its_key_is_another(client: httpx.AsyncClient) -> None:
    """It has the id of the first: whoever kept some of that must not take it for the same, nor delete it for that."""
    key = {"Idempotency-Key": new_id()}
    place = f"{FILES}/{(await made(client, b'first', **key))['id']}"
    about, content = (await client.get(place)).headers["ETag"], await client.get(f"{place}/content")
    await client.delete(place)

    assert (await upload(client, b"other", **key)).headers["Location"] == place

    old = {"If-None-Match": content.headers["ETag"]}
    assert (await client.get(f"{place}/content", headers=old)).content == b"other"
    resumed = {"If-Range": content.headers["ETag"], "Range": "bytes=3-"}
    assert (await client.get(f"{place}/content", headers=resumed)).content == b"other"
    refused = (412, "common.precondition_failed")
    assert code(await client.get(f"{place}/content", headers={"If-Match": content.headers["ETag"]})) == refused
    assert code(await client.delete(place, headers={"If-Match": about})) == refused


async def test_of_two_at_once_under_a_key_both_are_told_of_one_file(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": new_id()}

    answers = await asyncio.gather(*(upload(client, PDF, "a.pdf", **key) for _ in range(3)))

    assert [one.status_code for one in answers] == [201] * 3
    assert len({one.json()["id"] for one in answers}) == 1
    assert (await client.get(f"{FILES}/{answers[0].json()['id']}/content")).content == PDF
