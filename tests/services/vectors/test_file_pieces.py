"""Files that come in pieces, as tus has them, over the real app and a folder."""

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import ClientDisconnect

from services.vectors.files.domain import PART_BYTES
from services.vectors.files.intake import take_in
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.vectors.test_files import FILES, PDF, code, made, upload

TUS = {"Tus-Resumable": "1.0.0"}
FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
CONFLICT = (409, "vectors.upload_conflict")


def told(length: int, name: str = "a.pdf", more: str = "") -> dict[str, str]:
    metadata = f"filename {base64.b64encode(name.encode()).decode()}{more}"
    return TUS | {"Upload-Length": str(length), "Upload-Metadata": metadata}


async def begun(client: httpx.AsyncClient, length: int, **headers: str) -> str:
    answer = await client.post(FILES, headers=told(length) | headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


async def send(
    client: httpx.AsyncClient, place: str, offset: int, content: bytes | AsyncIterator[bytes], **headers: str
) -> httpx.Response:
    piece = TUS | {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"} | headers
    return await client.patch(place, content=content, headers=piece)


async def offset_of(client: httpx.AsyncClient, place: str, **headers: str) -> int:
    return int((await client.head(place, headers=TUS | headers)).headers["Upload-Offset"])


async def test_a_file_may_come_in_pieces(client: httpx.AsyncClient) -> None:
    made_now = await client.post(FILES, headers=told(len(PDF), "größe.pdf", ",filetype YQ=="))
    place = made_now.headers["Location"]
    file = made_now.json()
    cuts = [0, 1, PART_BYTES + 7, PART_BYTES + 8, len(PDF)]

    for at, end in itertools.pairwise(cuts):
        asked = await client.head(place, headers=TUS)
        assert (asked.status_code, asked.headers["Upload-Offset"]) == (200, str(at))
        assert (asked.headers["Upload-Length"], asked.headers["Cache-Control"]) == (str(len(PDF)), "no-store")
        sent = await send(client, place, at, PDF[at:end])
        assert (sent.status_code, sent.headers["Upload-Offset"]) == (204, str(end))

    whole = (await client.get(place)).json()
    assert (file["status"], file["received"], file["bytes"], file["media_type"]) == ("uploading", 0, len(PDF), None)
    assert file["expires_at"] > file["created_at"]
    assert (whole["status"], whole["name"], whole["media_type"]) == ("ready", "größe.pdf", "application/pdf")
    assert (await client.get(f"{place}/content")).content == PDF
    assert code(await send(client, place, len(PDF), b"")) == CONFLICT


async def test_what_is_not_whole_is_not_read_and_may_be_given_up(client: httpx.AsyncClient) -> None:
    place = await begun(client, 10)
    await send(client, place, 0, b"12345")

    assert code(await client.get(f"{place}/content")) == (409, "vectors.file_unfinished")
    assert (await client.delete(place)).status_code == 204
    assert code(await send(client, place, 5, b"67890")) == (404, "vectors.file_not_found")
    assert (await client.head(place)).status_code == 404


async def test_a_file_of_nothing_is_ready_at_once(client: httpx.AsyncClient) -> None:
    place = await begun(client, 0)

    assert (await client.get(place)).json()["status"] == "ready"


@pytest.mark.parametrize("comes_in_pieces", [True, False])
async def test_what_comes_of_a_file_that_was_deleted_does_not_stay(
    open_vectors: ServiceClient, user: User, tmp_path: Path, comes_in_pieces: bool
) -> None:
    """No quota counts it. What says that it was deleted has no bytes, and goes with the sweep."""
    own = {"data_dir": tmp_path / "data", "files_dir": tmp_path / "files"}
    async with open_vectors("vectors", **own, files_max_bytes=2 * PART_BYTES) as client:
        client.headers["Authorization"] = user.headers["Authorization"]

        async def more(place: str | None) -> AsyncIterator[bytes]:
            yield FORM if place is None else b""
            yield bytes(PART_BYTES + 1)
            found = place or f"{FILES}/{(await client.get(FILES)).json()['items'][0]['id']}"
            assert (await client.delete(found)).status_code == 204
            yield bytes(PART_BYTES - 1)
            yield bytes(PART_BYTES)

        if comes_in_pieces:
            place = await begun(client, 2 * PART_BYTES)
            refused = await send(client, place, 0, more(place))
        else:
            form = {"Content-Type": "multipart/form-data; boundary=x", "Idempotency-Key": new_id()}
            refused = await client.post(FILES, content=more(None), headers=form)

        assert code(refused) == (413, "common.too_large")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await asyncio.to_thread(kept_below, tmp_path / "files"):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)


def kept_below(folder: Path) -> list[Path]:
    """All that is there, but for empty marks of the deleted."""
    found = [one for one in folder.rglob("*") if one.is_file() and one.parent.name != "probes"]
    return [one for one in found if "deleted" not in one.relative_to(folder).parts or one.stat().st_size]


async def test_of_two_at_one_offset_one_is_refused(client: httpx.AsyncClient) -> None:
    place = await begun(client, 2 * PART_BYTES)
    pieces = [bytes([which]) * (2 * PART_BYTES) for which in range(4)]

    answers = await asyncio.gather(*(send(client, place, 0, piece) for piece in pieces))

    assert sorted(answer.status_code for answer in answers) == [204, 409, 409, 409]
    won = [answer.status_code for answer in answers].index(204)
    assert (await client.get(f"{place}/content")).content == pieces[won]


async def test_a_piece_that_does_not_follow_is_refused(client: httpx.AsyncClient) -> None:
    place = await begun(client, 10)
    await send(client, place, 0, b"12345")

    for offset in (0, 4, 6):
        assert code(await send(client, place, offset, b"x")) == CONFLICT
    whole = await made(client, b"whole")
    assert code(await send(client, f"{FILES}/{whole['id']}", 5, b"x")) == CONFLICT
    assert await offset_of(client, place) == 5


async def test_a_piece_is_too_long_as_soon_as_it_is_known(client: httpx.AsyncClient) -> None:
    place = await begun(client, PART_BYTES)

    async def untold() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield bytes(PART_BYTES // 2)

    too_large = (413, "common.too_large")
    assert code(await send(client, place, 0, bytes(PART_BYTES + 1))) == too_large
    assert await offset_of(client, place) == 0
    assert code(await send(client, place, 0, untold())) == too_large
    assert await offset_of(client, place) == PART_BYTES, "what fits is kept"
    assert (await client.get(place)).json()["status"] == "ready"


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"Tus-Resumable": "0.2.2"}, (412, "vectors.tus_version_unsupported")),
        ({"Content-Type": "application/json"}, (415, "common.unsupported_media_type")),
        ({"Upload-Offset": "-1"}, (422, "common.invalid")),
        ({"Upload-Offset": "x"}, (422, "common.invalid")),
    ],
)
async def test_a_piece_says_what_it_is(
    client: httpx.AsyncClient, changed: dict[str, str], refusal: tuple[int, str]
) -> None:
    place = await begun(client, 10)

    assert code(await send(client, place, 0, b"1", **changed)) == refusal


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"Upload-Length": "10"}, (412, "vectors.tus_version_unsupported")),
        (TUS | {"Upload-Length": "10"}, (422, "common.invalid")),
        (TUS | {"Upload-Length": "10", "Upload-Metadata": "filename ???"}, (422, "common.invalid")),
        (TUS | {"Upload-Length": "10", "Upload-Metadata": "filename Li4="}, (422, "common.invalid")),
        (told(10, more=",collection YQ=="), (422, "common.invalid")),
        (told(10, more=",filename YQ=="), (422, "common.invalid")),
        (told(2**40), (413, "common.too_large")),
        (told(-1), (422, "common.invalid")),
    ],
)
async def test_an_upload_says_what_it_will_be(
    client: httpx.AsyncClient, headers: dict[str, str], refusal: tuple[int, str]
) -> None:
    assert code(await client.post(FILES, headers=headers)) == refusal


EXTRA = (422, "common.invalid")
HELLO = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"{}\r\n\r\nhello\r\n--x--\r\n'


@pytest.mark.parametrize(
    "header",
    [
        "Tus-Resumable: 1.0.0",
        "Upload-Metadata: filename YQ==",
        "Upload-Offset: 0",
        "Upload-Defer-Length: 1",
        "Upload-Concat: partial",
        "Upload-Checksum: sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=",
        "X-HTTP-Method-Override: PATCH",
    ],
)
async def test_what_a_form_does_not_take_is_refused_by_name(client: httpx.AsyncClient, header: str) -> None:
    name, _, value = header.partition(": ")
    form = {"Content-Type": "multipart/form-data; boundary=x", name: value}

    refused = await client.post(FILES, content=HELLO.replace(b"{}", b""), headers=form)

    assert code(refused) == EXTRA
    assert refused.json()["errors"][0]["pointer"] == f"header/{name.lower()}"
    assert name in refused.json()["detail"]


@pytest.mark.parametrize("name", ["Upload-Concat", "Upload-Defer-Length", "Upload-Checksum", "Upload-Offset"])
async def test_what_is_not_offered_of_tus_is_refused_by_name(client: httpx.AsyncClient, name: str) -> None:
    refused = await client.post(FILES, headers=told(1) | {name: "1"})

    assert (code(refused), refused.json()["errors"][0]["pointer"]) == (EXTRA, f"header/{name.lower()}")


@pytest.mark.parametrize("name", ["Upload-Length", "Upload-Metadata", "Upload-Checksum", "X-HTTP-Method-Override"])
async def test_what_a_piece_does_not_take_is_refused_by_name(client: httpx.AsyncClient, name: str) -> None:
    place = await begun(client, 1)

    refused = await send(client, place, 0, b"1", **{name: "1"})

    assert (code(refused), refused.json()["errors"][0]["pointer"]) == (EXTRA, f"header/{name.lower()}")
    assert await offset_of(client, place) == 0


async def test_a_body_that_would_have_to_be_decoded_is_refused(client: httpx.AsyncClient) -> None:
    place = await begun(client, 1)
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    encoded = HELLO.replace(b"{}", b"\r\nContent-Transfer-Encoding: base64")

    coded = [
        await send(client, place, 0, b"1", **{"Content-Encoding": "gzip"}),
        await client.post(FILES, content=HELLO.replace(b"{}", b""), headers=form | {"Content-Encoding": "gzip"}),
    ]

    assert [code(answer) for answer in coded] == [(415, "common.unsupported_media_type")] * 2
    assert code(await client.post(FILES, content=encoded, headers=form)) == EXTRA
    plain = HELLO.replace(b"{}", b"\r\nContent-Transfer-Encoding: binary")
    assert (await client.post(FILES, content=plain, headers=form)).status_code == 201


async def test_a_piece_may_name_what_it_goes_on_from(client: httpx.AsyncClient) -> None:
    place = await begun(client, 2)
    tag = (await client.head(place, headers=TUS)).headers["ETag"]
    assert (await send(client, place, 0, b"1", **{"If-Match": tag})).status_code == 204

    assert code(await send(client, place, 1, b"2", **{"If-Match": tag})) == (412, "common.precondition_failed")


async def test_another_version_of_tus_is_told_so_by_every_operation(client: httpx.AsyncClient) -> None:
    place = await begun(client, 1)

    for method in ("HEAD", "DELETE"):
        refused = await client.request(method, place, headers={"Tus-Resumable": "0.2.2"})
        assert (refused.status_code, refused.headers["Tus-Version"]) == (412, "1.0.0")
    assert await offset_of(client, place) == 0


async def test_an_upload_begins_without_a_piece(client: httpx.AsyncClient) -> None:
    assert code(await client.post(FILES, content=b"1", headers=told(1))) == (422, "common.invalid")


async def test_what_came_before_the_line_broke_is_kept() -> None:
    put: list[tuple[int, int]] = []

    async def broken() -> AsyncIterator[bytes]:
        yield bytes(PART_BYTES)
        yield bytes(10)
        raise ClientDisconnect

    async def keep(at: int, content: bytes) -> None:
        put.append((at, len(content)))

    for is_kept in (True, False):
        with pytest.raises(ClientDisconnect):
            await take_in(broken(), keep, most=10 * PART_BYTES, is_kept=is_kept)

    assert put == [(0, PART_BYTES), (PART_BYTES, 10), (0, PART_BYTES)]


async def test_under_a_key_an_upload_begins_once(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": new_id()}
    place = await begun(client, 10, **key)
    await send(client, place, 0, b"12345")

    again = await client.post(FILES, headers=told(10) | key)
    other = await client.post(FILES, headers=told(11) | key)

    assert (again.status_code, again.headers["Location"], again.json()["received"]) == (201, place, 5)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert code(other) == code(await upload(client, b"x", **key)) == (422, "common.idempotency_key_reused")


async def test_a_neighbour_meets_nothing_and_a_colleague_goes_on(client: httpx.AsyncClient, other_user: User) -> None:
    place = await begun(client, 2)

    assert code(await send(client, place, 0, b"x", **other_user.headers)) == (404, "vectors.file_not_found")
    assert (await client.head(place, headers=other_user.headers)).status_code == 404
    assert await offset_of(client, place) == 0


@pytest.fixture
async def narrow(open_vectors: ServiceClient, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A service where a tenant has two files, of a hundred bytes together."""
    async with open_vectors("vectors", data_dir=tmp_path, quota_files=2, quota_file_bytes=100) as opened:
        yield opened


async def test_a_tenant_has_so_many_files_and_bytes(narrow: httpx.AsyncClient, register_user: RegisterUser) -> None:
    headers = (await register_user()).headers
    exceeded = (409, "vectors.quota_exceeded")

    async def usage() -> tuple[int, int]:
        read = (await narrow.get("/api/v1/vectors/usage", headers=headers)).json()
        assert (read["limits"]["files"], read["limits"]["file_bytes"]) == (2, 100)
        return read["files"], read["file_bytes"]

    place = await begun(narrow, 60, **headers)
    assert await usage() == (1, 60), "what is under way counts as what it is to be"
    assert code(await narrow.post(FILES, headers=told(41) | headers)) == exceeded
    await narrow.delete(place, headers=headers)
    places = [await begun(narrow, 40, **headers) for _ in range(2)]
    await send(narrow, places[0], 0, bytes(40), **headers)
    assert await usage() == (2, 80)
    third = await narrow.post(FILES, headers=told(1) | headers)
    assert code(third) == exceeded
    assert "2 files" in third.json()["detail"]
    assert code(await upload(narrow, b"x", **headers)) == exceeded


async def test_of_many_at_once_as_many_are_taken_as_fit(narrow: httpx.AsyncClient, register_user: RegisterUser) -> None:
    headers = (await register_user()).headers

    answers = await asyncio.gather(*(narrow.post(FILES, headers=told(10) | headers) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
