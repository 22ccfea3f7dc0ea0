"""What is ended although whoever began it died: uploads, deletions, files that nobody made ready."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from services.vectors.files.finishing import Finisher
from services.vectors.files.marks import Mark, MarkKind
from services.vectors.files.repository import FileRepository
from services.vectors.files.sweeping import Sweeper
from shared.errors import Unavailable
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.services.vectors.kept_files import Heard, WatchedBlobs, again, append, begun, content_of, kept
from tests.services.vectors.test_file_pieces import begun as begun_at
from tests.services.vectors.test_file_pieces import offset_of, send, told
from tests.services.vectors.test_files import FILES, code

AT_ONCE = timedelta(0)


def sweeper(files: FileRepository, heard: Heard | None = None, life: timedelta = AT_ONCE) -> Sweeper:
    return Sweeper(files, Finisher(files, heard or Heard()), life, spare=AT_ONCE, still_coming=AT_ONCE)


async def marks(files: FileRepository) -> list[Mark]:
    return await files.marks.list_before(dict.fromkeys(MarkKind, datetime.now(UTC) + timedelta(days=1)))


async def test_what_never_became_whole_is_swept_away_and_nothing_else(
    files: FileRepository, blobs: WatchedBlobs
) -> None:
    ready = await kept(files, b"0123456789", 10)
    marked = await kept(files, b"0123456789", 10, ready.tenant_id)
    mark = Mark(MarkKind.UNFINISHED, marked.tenant_id, marked.id, marked.upload.place)
    await files.marks.put(mark)  # as when whoever finished it died over its mark
    unfinished = await begun(files, 10, ready.tenant_id)
    await append(files, unfinished, b"01234", 5)
    everything = {ready.id, marked.id, unfinished.id}

    day = Sweeper(files, Finisher(files, Heard()), timedelta(days=1))
    assert await day.sweep() is False
    assert set(await files.sizes(ready.tenant_id)) == everything, "it is not time yet"
    for _ in range(2):  # the first leaves a mark, for pieces that may still come
        assert await sweeper(files).sweep() is False

    assert set(await files.sizes(ready.tenant_id)) == {ready.id, marked.id}
    places = {blob.path.split("/")[2] for kind in ("parts", "ready") for blob in await blobs.list(kind)}
    assert places == {ready.upload.place, marked.upload.place}
    assert await marks(files) == []


async def test_what_one_refuses_and_another_makes_ready_is_one_or_the_other(
    files: FileRepository, blobs: WatchedBlobs
) -> None:
    """Of two uploads under one key the ready one was deleted, though its sender had been told that it is kept."""
    refused, told = [await begun(files, None, "tenant") for _ in range(2)]
    blobs.fails_for = f"files/tenant/{refused.id}"  # as where its process dies in the middle
    with pytest.raises(Unavailable):
        await files.give_up(refused)
    blobs.fails_for = ""
    assert not await files.finish(refused, "text/plain", "assistants")
    assert await files.finish(told, "text/plain", "assistants")
    await files.give_up(told)

    assert await files.find("tenant", refused.id) is None
    assert (await again(files, told)).is_ready
    assert set(await files.sizes("tenant")) == {told.id}
    for _ in range(2):
        await sweeper(files).sweep()
    assert [blob.path.split("/")[2] for kind in ("files", "ready") for blob in await blobs.list(kind)] == [
        told.id,
        told.upload.place,
    ]
    assert await marks(files) == []


async def test_a_piece_that_came_after_its_file_was_deleted_is_swept_away(
    files: FileRepository, blobs: WatchedBlobs
) -> None:
    """Whoever put it was killed before it looked."""
    file = await begun(files, 10)
    await files.remove(file.tenant_id, file.id, file.upload.place)
    await files.parts.put(file.tenant_id, file.upload.place, 0, b"01234")

    soon = Sweeper(files, Finisher(files, Heard()), AT_ONCE)
    assert await soon.sweep() is False
    assert len(await blobs.list("parts")) == 1, "more of it may be under way"
    await sweeper(files).sweep()

    assert await blobs.list("parts") == []
    assert await marks(files) == []


@pytest.mark.parametrize("fails_for", ["files/", "parts/", "ready/"])
async def test_a_deletion_that_broke_off_is_ended(files: FileRepository, blobs: WatchedBlobs, fails_for: str) -> None:
    file = await kept(files, b"0123456789", 10)
    blobs.fails_for = fails_for
    with pytest.raises(Unavailable):
        await files.remove(file.tenant_id, file.id, file.upload.place)
    blobs.fails_for = ""

    await sweeper(files).sweep()

    assert [await blobs.list(kind) for kind in ("files", "ready", "parts", "marks")] == [[], [], [], []]


async def test_a_deletion_that_broke_off_does_not_end_what_was_made_anew(files: FileRepository) -> None:
    file = await begun(files, 10)
    await files.remove(file.tenant_id, file.id, file.upload.place)
    other = await begun(files, 5)
    await files.begin(file.tenant_id, file.id, other.upload)
    await append(files, file, b"01234", 5)

    await sweeper(files, life=timedelta(days=1)).sweep()

    assert await content_of(files, file) == b"01234"


async def test_what_fails_each_time_keeps_nothing_else_from_its_turn(
    files: FileRepository, blobs: WatchedBlobs
) -> None:
    for at in range(205):
        await begun(files, 10, f"{'good' if at > 199 else 'bad'}")
    blobs.fails_for = "/bad"
    one = sweeper(files)

    turns = 0
    while await files.sizes("good"):
        assert await one.sweep() is False, "it rests, since the store may be away"
        turns += 1
        assert turns <= 21

    assert len(await files.sizes("bad")) == 200
    blobs.fails_for = ""
    while await one.sweep() or await files.sizes("bad"):
        pass


async def test_a_sweep_is_bounded_and_goes_on(files: FileRepository) -> None:
    for _ in range(101):
        await begun(files, 10, "tenant")
    one = Sweeper(files, Finisher(files, Heard()), AT_ONCE, spare=AT_ONCE)

    assert await one.sweep() is True
    assert len(await files.sizes("tenant")) == 1
    assert await one.sweep() is False
    assert await files.sizes("tenant") == {}


async def test_what_is_whole_becomes_ready_although_its_sender_died(files: FileRepository) -> None:
    heard = Heard()
    file = await begun(files, 10)
    await append(files, file, b"%PDF-56789", 3)

    await sweeper(files, heard, timedelta(days=1)).sweep()

    ready = await again(files, file)
    assert (ready.is_ready, ready.media_type) == (True, "application/pdf")
    assert heard.told == [("ada", "file.created", file.id)]
    assert await marks(files) == []


async def test_reading_of_what_is_whole_writes_nothing(open_vectors: ServiceClient, user: User, tmp_path: Path) -> None:
    """Whoever sent the last of it died over it; the next may be someone who may only read."""
    async with open_vectors("vectors", data_dir=tmp_path, files_dir=tmp_path / "files") as client:
        client.headers.update(user.headers)
        place = await begun_at(client, 10)
        with mock.patch.object(Finisher, "finish", side_effect=Unavailable("files")):
            assert code(await send(client, place, 0, b"0123456789")) == (503, "common.unavailable")
        before = below(tmp_path / "files")

        assert await offset_of(client, place) == 10
        read = (await client.get(place)).json()
        listed = (await client.get(FILES)).json()["items"][0]
        assert code(await client.get(f"{place}/content")) == (409, "vectors.file_unfinished")
        after = below(tmp_path / "files")
        ended = await send(client, place, 10, b"")
        content = await client.get(f"{place}/content")

    assert (read["status"], read["received"], listed) == ("uploading", 10, read)
    assert after == before
    assert (ended.status_code, content.content) == (204, b"0123456789")


def below(folder: Path) -> set[Path]:
    return {one for one in folder.rglob("*") if one.is_file() and one.parent.name != "probes"}


async def test_a_file_of_nothing_becomes_ready_too(open_vectors: ServiceClient, user: User, tmp_path: Path) -> None:
    """It has no last piece: it is whole when it begins."""
    async with open_vectors("vectors", data_dir=tmp_path, files_dir=tmp_path / "files") as client:
        client.headers.update(user.headers)
        with mock.patch.object(Finisher, "finish", side_effect=Unavailable("files")):
            assert code(await client.post(FILES, headers=told(0))) == (503, "common.unavailable")
        blobs = WatchedBlobs(tmp_path / "files", 20)
        await sweeper(FileRepository(blobs), life=timedelta(days=1)).sweep()
        await blobs.aclose()

        assert (await client.get(FILES)).json()["items"][0]["status"] == "ready"
