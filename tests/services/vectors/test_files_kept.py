"""Files where several replicas find them, in a folder and in a bucket."""

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest

from services.vectors.files.domain import LOOSE_PARTS, PART_BYTES
from services.vectors.files.route import FILE_UPLOADS
from shared import watchdog
from shared.errors import StorageFull
from shared.limits import Shares
from shared.schemas import new_id
from shared.settings import CannotStart
from shared.storage import Storage
from tests.fixtures.apps import ServiceClient
from tests.fixtures.buckets import open_bucket
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.vectors.test_file_pieces import FORM, begun, offset_of, send
from tests.services.vectors.test_files import FILES, PDF, code, made, upload

Pair = tuple[httpx.AsyncClient, httpx.AsyncClient]


@pytest.fixture(params=["folder", "bucket"])
async def pair(
    request: pytest.FixtureRequest, open_vectors: ServiceClient, user: User, tmp_path: Path
) -> AsyncIterator[Pair]:
    """Two services that keep files in one place."""
    async with AsyncExitStack() as stack:
        place: dict[str, Any] = {"files_dir": tmp_path / "files"}
        if request.param == "bucket":
            place = stack.enter_context(open_bucket()).settings
        replicas = [
            await stack.enter_async_context(open_vectors("vectors", data_dir=tmp_path / name, **place))
            for name in ("one", "other")
        ]
        for replica in replicas:
            replica.headers["Authorization"] = user.headers["Authorization"]
        yield replicas[0], replicas[1]


async def test_what_one_replica_takes_the_other_has(pair: Pair) -> None:
    one, other = pair
    place = f"{FILES}/{(await made(one, PDF, 'a.pdf'))['id']}"

    assert (await other.get(f"{place}/content")).content == PDF
    part = await other.get(f"{place}/content", headers={"Range": f"bytes={PART_BYTES - 1}-{PART_BYTES}"})
    assert (part.status_code, part.content) == (206, PDF[PART_BYTES - 1 : PART_BYTES + 1])
    assert [item["media_type"] for item in (await other.get(FILES)).json()["items"]] == ["application/pdf"]
    assert (await other.delete(place)).status_code == 204
    assert (await one.get(place)).status_code == 404
    assert (await one.get(FILES)).json()["items"] == []


async def test_an_upload_goes_on_wherever_it_is_sent(pair: Pair) -> None:
    place = await begun(pair[0], len(PDF))
    at = 0
    for end in (1_000, 1_500_000, 1_500_001, len(PDF)):
        assert (await send(pair[end % 2], place, at, PDF[at:end])).status_code == 204
        at = end
        assert [await offset_of(replica, place) for replica in pair] == [end, end]

    assert (await pair[0].get(f"{place}/content")).content == PDF


async def test_a_key_is_known_to_every_replica(pair: Pair) -> None:
    key = {"Idempotency-Key": new_id()}
    first = await upload(pair[0], PDF, **key)

    again = await upload(pair[1], PDF, **key)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert code(await upload(pair[1], PDF + b"x", **key)) == (422, "common.idempotency_key_reused")


async def test_a_repetition_finishes_what_the_first_could_not(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": new_id(), "Content-Type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    broken = await client.post(FILES, content=head + PDF[: PART_BYTES + 100], headers=key)

    whole = await client.post(FILES, content=head + PDF + b"\r\n--x--\r\n", headers=key)

    assert (broken.status_code, whole.status_code) == (422, 201)
    assert "Idempotency-Replayed" not in whole.headers
    assert (await client.get(f"{FILES}/{whole.json()['id']}/content")).content == PDF


async def test_one_users_uploads_leave_places_for_others(
    client: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    ours, theirs = [(await register_user()).headers for _ in range(2)]
    share, go_on = Shares("uploads", FILE_UPLOADS).of_a_user, asyncio.Event()
    places = [await begun(client, 2, **ours) for _ in range(share + 1)]
    begun_ones = [asyncio.Event() for _ in range(share)]

    async def slow(begins: asyncio.Event) -> AsyncIterator[bytes]:
        begins.set()
        await go_on.wait()
        yield b"12"

    sent = [
        asyncio.create_task(send(client, place, 0, slow(begins), **ours))
        for place, begins in zip(places, begun_ones, strict=False)
    ]
    for begins in begun_ones:
        await begins.wait()
    refused = await send(client, places[-1], 0, b"12", **ours)
    others = await upload(client, b"x", **theirs)
    go_on.set()

    assert code(refused) == (429, "common.share_taken")
    assert others.status_code == 201
    assert [answer.status_code for answer in await asyncio.gather(*sent)] == [204] * share


class Clock:
    """As the watchdog reads it: all the time that a request may take is over when a test says so."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_seconds


@pytest.mark.parametrize("comes_in_pieces", [True, False])
async def test_a_sender_who_stalls_is_not_waited_for(
    open_vectors: ServiceClient, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_in_pieces: bool
) -> None:
    """A place is held for as long as any request may take, whatever trickles in; what came is kept of a piece."""
    monkeypatch.setattr(watchdog, "time", clock := Clock())
    async with open_vectors("vectors", data_dir=tmp_path, request_limit_seconds=PATIENCE_SECONDS) as client:
        client.headers.update(user.headers)
        trickles, ended = asyncio.Event(), asyncio.Event()

        async def trickling(head: bytes) -> AsyncIterator[bytes]:
            yield head + bytes(PART_BYTES)
            while not ended.is_set():
                yield b"x"
                trickles.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await ended.wait()

        place = await begun(client, 3 * PART_BYTES)
        form = {"Content-Type": "multipart/form-data; boundary=x"}
        sending = asyncio.create_task(  # which is ended, and this one is not
            send(client, place, 0, trickling(b""))
            if comes_in_pieces
            else client.post(FILES, content=trickling(FORM), headers=form)
        )
        await trickles.wait()
        while comes_in_pieces and await offset_of(client, place) < PART_BYTES:
            pass
        clock.ahead_seconds = 2 * PATIENCE_SECONDS
        refused = await sending
        ended.set()

        assert code(refused) == (504, "common.out_of_time")
        assert await offset_of(client, place) == (PART_BYTES if comes_in_pieces else 0)
        assert (await upload(client, b"x")).status_code == 201


async def test_two_replicas_take_one_offset_once(pair: Pair) -> None:
    place = await begun(pair[0], 2 * PART_BYTES)
    contents = [bytes([which]) * (2 * PART_BYTES) for which in range(4)]

    answers = await asyncio.gather(*(send(pair[at % 2], place, 0, content) for at, content in enumerate(contents)))

    assert sorted(answer.status_code for answer in answers) == [204, 409, 409, 409]
    won = [answer.status_code for answer in answers].index(204)
    for replica in pair:
        assert (await replica.get(f"{place}/content")).content == contents[won]


async def test_an_upload_in_tiny_pieces_goes_on_at_any_replica(pair: Pair) -> None:
    content = os.urandom(LOOSE_PARTS + 10)
    place = await begun(pair[0], len(content))

    for at in range(len(content)):
        assert (await send(pair[at % 2], place, at, content[at : at + 1])).status_code == 204

    for replica in pair:
        assert (await replica.get(f"{place}/content")).content == content


async def test_a_file_that_two_replicas_delete_is_gone_from_both(pair: Pair) -> None:
    place = f"{FILES}/{(await made(pair[0], PDF))['id']}"

    answers = await asyncio.gather(*(replica.delete(place) for replica in pair))

    assert {answer.status_code for answer in answers} <= {204, 404}
    for replica in pair:
        assert (await replica.get(place)).status_code == 404
        assert (await replica.get("/api/v1/vectors/usage")).json()["files"] == 0


async def test_with_replicas_it_is_said_where_files_are(open_vectors: ServiceClient, tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="FILES_DIR"):
        async with open_vectors("vectors", faiss_url="http://127.0.0.1:9", data_dir=tmp_path):
            raise AssertionError


async def test_a_bucket_that_is_away_takes_nothing_else_along(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    place = {"files_url": "s3://bucket", "files_s3_endpoint": "http://127.0.0.1:9", "files_s3_key_id": "key"}
    async with open_vectors("vectors", data_dir=tmp_path, **place, files_s3_secret="none") as client:
        client.headers.update(user.headers)

        refused = await upload(client, b"x")
        usage = (await client.get("/api/v1/vectors/usage")).json()
        ready = await client.get("/health/ready")

    assert code(refused) == (503, "common.unavailable")
    assert "files" in refused.json()["detail"]
    assert (usage["files"], usage["file_bytes"], usage["collections"]) == (None, None, 0)
    assert (ready.status_code, ready.json()["checks"]["files"]["status"]) == (200, "warn")


async def test_a_full_disk_takes_no_file_and_keeps_what_there_is(client: httpx.AsyncClient) -> None:
    place = await begun(client, 2 * PART_BYTES)
    assert (await send(client, place, 0, bytes(PART_BYTES))).status_code == 204

    with mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, "no room")):
        refused = [await upload(client, b"x"), await send(client, place, PART_BYTES, bytes(PART_BYTES))]
    went_on = await send(client, place, await offset_of(client, place), bytes(PART_BYTES))

    assert [code(answer) for answer in refused] == [(507, "common.storage_full")] * 2
    assert went_on.status_code == 204
    assert (await client.get(place)).json()["status"] == "ready"


async def test_on_a_full_disk_a_file_may_be_deleted(client: httpx.AsyncClient) -> None:
    place = f"{FILES}/{(await made(client, PDF))['id']}"

    with mock.patch("os.link", side_effect=OSError(errno.ENOSPC, "no room")):
        refused, deleted = await upload(client, b"x"), await client.delete(place)

    assert (code(refused), deleted.status_code) == ((507, "common.storage_full"), 204)
    assert (await client.get(place)).status_code == 404


async def test_an_upload_ends_where_the_disk_becomes_nearly_full(client: httpx.AsyncClient) -> None:
    """Those that are under way together are larger than what is kept free for them."""
    place = await begun(client, 2 * PART_BYTES)

    with mock.patch.object(Storage, "require_room", side_effect=[None, None, StorageFull()]):
        refused = await send(client, place, 0, bytes(2 * PART_BYTES))

    assert code(refused) == (507, "common.storage_full")
    assert await offset_of(client, place) == PART_BYTES


async def test_whoever_may_read_reads_and_changes_nothing(
    client: httpx.AsyncClient, register_user: RegisterUser, auth: httpx.AsyncClient
) -> None:
    user = await register_user()
    form = {"grant_type": "password", "username": user.email, "password": user.password, "scope": "vectors:read"}
    token = (await auth.post("/api/v1/auth/token", data=form)).raise_for_status().json()["access_token"]
    ours, theirs = user.headers, {"Authorization": f"Bearer {token}"}
    place = await begun(client, 2, **ours)
    await send(client, place, 0, b"1", **ours)

    assert await offset_of(client, place, **theirs) == 1
    assert (await client.get(place, headers=theirs)).json()["received"] == 1
    refused = [
        await send(client, place, 1, b"2", **theirs),
        await client.delete(place, headers=theirs),
        await upload(client, b"x", **theirs),
    ]

    assert [answer.status_code for answer in refused] == [403] * 3
    assert await offset_of(client, place, **ours) == 1
