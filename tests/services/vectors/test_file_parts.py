"""How many blobs a file lies in: few, however it came, and what is read of it stays what was sent first."""

import asyncio
import functools
import itertools
import os
from pathlib import Path

import pytest

from services.vectors.files.appending import Appending
from services.vectors.files.domain import LOOSE_PARTS, PART_BYTES, Part, StoredFile
from services.vectors.files.errors import UploadConflict
from services.vectors.files.finishing import Finisher
from services.vectors.files.repository import FileRepository
from shared.errors import Unavailable
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.services.vectors.kept_files import (
    ROOM,
    Heard,
    WatchedBlobs,
    a_caller,
    again,
    an_upload,
    append,
    begun,
    content_of,
    kept,
)
from tests.services.vectors.test_file_pieces import begun as begun_at
from tests.services.vectors.test_file_pieces import send


async def blobs_of(blobs: WatchedBlobs, file: StoredFile) -> int:
    """Those that its bytes lie in."""
    return sum([len(await blobs.list(f"{kind}/{file.tenant_id}/{file.upload.place}")) for kind in ("parts", "joined")])


async def test_an_upload_in_tiny_pieces_lies_in_few_blobs_all_the_time(
    files: FileRepository, blobs: WatchedBlobs
) -> None:
    content = os.urandom(5 * LOOSE_PARTS)
    file = await begun(files, len(content))

    for at, byte in enumerate(content):
        await append(files, file, bytes([byte]), 1)
        assert await blobs_of(blobs, file) <= LOOSE_PARTS + 1, "the first, what is joined, and those that are not yet"
        assert (await again(files, file)).received == at + 1
    await Finisher(files, Heard()).finish(file, a_caller(file.tenant_id))

    assert await blobs_of(blobs, file) == 2
    assert await content_of(files, file) == content


@pytest.mark.parametrize("piece_bytes", [PART_BYTES, PART_BYTES // 3, PART_BYTES // 2 + 1, 2 * PART_BYTES // 3])
async def test_a_file_that_is_ready_lies_in_two_blobs_a_mib_at_most(
    files: FileRepository, blobs: WatchedBlobs, piece_bytes: int
) -> None:
    content = os.urandom(3 * PART_BYTES + 5)

    file = await sent(files, content, piece_bytes)

    assert [part.end - part.offset for part in file.parts] == [PART_BYTES] * 3 + [5]
    assert await blobs_of(blobs, file) <= 2 * 4
    assert await content_of(files, file) == content


async def sent(files: FileRepository, content: bytes, piece_bytes: int) -> StoredFile:
    """As `kept`, of pieces that reach from one MiB into the next: each is put as a request puts it."""
    file, cuts = await begun(files, len(content)), range(0, len(content) + piece_bytes, piece_bytes)
    for start, end in itertools.pairwise(min(cut, len(content)) for cut in cuts):
        borders = [start, *range(start - start % PART_BYTES + PART_BYTES, end, PART_BYTES), end]
        appending = Appending(files, ROOM, a_caller(file.tenant_id), await again(files, file))
        for one, next_one in itertools.pairwise(borders):
            await appending.put(one, content[one:next_one])
    await Finisher(files, Heard()).finish(file, a_caller(file.tenant_id))
    return await again(files, file)


async def test_pieces_over_the_wire_are_joined(open_vectors: ServiceClient, user: User, tmp_path: Path) -> None:
    content, folder = os.urandom(2 * PART_BYTES + 9), tmp_path / "files"
    cuts = [*range(0, 50 * 1_000, 1_000), PART_BYTES - 1, PART_BYTES + 7, 2 * PART_BYTES + 1, len(content)]
    async with open_vectors("vectors", data_dir=tmp_path, files_dir=folder) as client:
        client.headers.update(user.headers)
        place = await begun_at(client, len(content))
        for at, end in itertools.pairwise(cuts):
            assert (await send(client, place, at, content[at:end])).status_code == 204
        read = await client.get(f"{place}/content")
        part = await client.get(f"{place}/content", headers={"Range": f"bytes={PART_BYTES - 2}-{PART_BYTES + 1}"})

    assert (read.content, part.content) == (content, content[PART_BYTES - 2 : PART_BYTES + 2])
    assert await asyncio.to_thread(count_below, folder) <= 2 * 3


def count_below(folder: Path) -> int:
    return sum(one.is_file() for kind in ("parts", "joined") for one in (folder / kind).rglob("*"))


async def test_what_a_tenant_has_is_counted_and_listed_alike_however_it_came(
    files: FileRepository, blobs: WatchedBlobs
) -> None:
    content = os.urandom(60)
    asked: list[list[tuple[int, int]]] = []

    for piece_bytes in (60, 1):
        tenant = (await kept(files, content, piece_bytes)).tenant_id
        blobs.counts()
        assert list((await files.sizes(tenant)).values()) == [60]
        asked.append([blobs.counts()])
        assert [file.received for file in await files.list_page(tenant, after=None, limit=10)] == [60]
        asked[-1].append(blobs.counts())

    assert asked[0] == asked[1]
    assert all(listed == 1 for _, listed in asked[0]), "the file itself, and none of its parts"


async def test_uploads_under_way_are_counted_without_their_parts(files: FileRepository, blobs: WatchedBlobs) -> None:
    file = await begun(files, 100)
    await append(files, file, bytes(30), 1)
    form = await begun(files, None, file.tenant_id)
    blobs.counts()

    assert await files.sizes(file.tenant_id) == {file.id: 100, form.id: form.upload.most}

    assert blobs.counts()[1] == 2


async def test_what_is_known_of_a_file_is_not_asked_again_until_it_is_another(
    files: FileRepository, blobs: WatchedBlobs, tmp_path: Path
) -> None:
    """Two files of one id, one after the other, as an `Idempotency-Key` makes them."""
    file = await kept(files, b"12345", 5)
    name = tmp_path / "files" / "files" / file.tenant_id / file.id
    await asyncio.to_thread(os.utime, name, (0, 0))  # made long ago
    assert await files.sizes(file.tenant_id) == {file.id: 5}
    blobs.counts()

    assert await files.sizes(file.tenant_id) == {file.id: 5}
    assert blobs.counts() == (1, 1), "a list, and nothing else"

    await files.remove(file.tenant_id, file.id, file.upload.place)
    assert await files.sizes(file.tenant_id) == {}
    await files.begin(file.tenant_id, file.id, (await begun(files, 7)).upload)
    assert await files.sizes(file.tenant_id) == {file.id: 7}


async def test_whoever_comes_late_to_an_offset_that_is_joined_is_refused(
    files: FileRepository, blobs: WatchedBlobs
) -> None:
    """Its request began when the upload ended there; since then others went on, and what they sent was joined."""
    file = await begun(files, 100)
    await append(files, file, b"12345", 5)
    late = Appending(files, ROOM, a_caller(file.tenant_id), await again(files, file))
    await append(files, file, os.urandom(LOOSE_PARTS), 1)
    before = await content_of(files, file)
    assert (await again(files, file)).parts[0].is_joined

    with pytest.raises(UploadConflict):
        await late.put(5, b"other bytes, and more of them than came since then")

    assert await content_of(files, file) == before
    assert await blobs_of(blobs, file) == 2, "nothing of it stays"


async def test_what_takes_the_place_of_a_joined_part_is_joined_by_nobody(
    files: FileRepository, blobs: WatchedBlobs
) -> None:
    """One that joins was slow: the parts it read of were joined by another, and one of them has other bytes by now."""
    file = await begun(files, 100)
    parts, place = files.parts, file.upload.place
    await append(files, file, b"123456", 2)
    run = (await again(files, file)).parts
    await parts.join(file.tenant_id, place, run[:2])
    assert await blobs.put(f"parts/{file.tenant_id}/{place}/{2:020}", b"xx"), "before it is looked whether it is late"

    await parts.join(file.tenant_id, place, run)

    assert await content_of(files, file) == b"123456"
    assert (await again(files, file)).parts == (Part(0, 4, is_joined=True), Part(4, 6))


async def test_many_who_join_and_finish_at_once_make_one_file(files: FileRepository) -> None:
    content, heard = os.urandom(PART_BYTES + 30), Heard()
    file = await begun(files, len(content))
    await files.parts.put(file.tenant_id, file.upload.place, 0, content[:PART_BYTES])
    for at in range(PART_BYTES, len(content)):
        await files.parts.put(file.tenant_id, file.upload.place, at, content[at : at + 1])
    finisher = Finisher(files, heard)

    done = await asyncio.gather(*(finisher.finish(file, a_caller(file.tenant_id)) for _ in range(4)))

    assert sorted(done) == [False, False, False, True]
    assert heard.told == [("ada", "file.created", file.id)]
    assert await content_of(files, file) == content


async def test_a_file_that_is_deleted_while_it_is_read_ends_there(files: FileRepository) -> None:
    file = await kept(files, os.urandom(2 * PART_BYTES), PART_BYTES)
    reading = files.read(file, 0, file.received)
    assert len(await anext(reading)) == PART_BYTES

    await files.remove(file.tenant_id, file.id, file.upload.place)

    with pytest.raises(Exception, match=file.id):
        await anext(reading)


async def test_pieces_of_a_deleted_file_are_not_those_of_one_made_anew(files: FileRepository) -> None:
    """Both have the id that an `Idempotency-Key` gives; a request of the first may still be under way."""
    file = await begun(files, 10)
    late = Appending(files, ROOM, a_caller(file.tenant_id), file)
    await files.remove(file.tenant_id, file.id, file.upload.place)
    await files.begin(file.tenant_id, file.id, (await begun(files, 10, new_id())).upload)

    await late.put(0, b"old bytes!")

    assert (await again(files, file)).received == 0


@pytest.mark.parametrize("said", [10, None], ids=["said at its beginning", "known at its end"])
async def test_what_is_not_all_of_a_file_is_never_made_ready(files: FileRepository, said: int | None) -> None:
    """As where a list lacks what others join just then."""
    file, heard = await begun(files, said), Heard()
    await files.parts.put(file.tenant_id, file.upload.place, 0, b"12345")

    with pytest.raises(Unavailable):
        await Finisher(files, heard).finish(file, a_caller(file.tenant_id), 10)
    await files.parts.put(file.tenant_id, file.upload.place, 5, b"67890")

    assert not (await again(files, file)).is_ready
    assert await Finisher(files, heard).finish(file, a_caller(file.tenant_id), 10)
    assert (await again(files, file)).bytes == 10


async def test_a_page_is_full_though_some_of_its_files_are_deleted_meanwhile(
    files: FileRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = [await begun(files, 1, "tenant") for _ in range(4)]
    find = files.find

    async def found_by_then(tenant_id: str, file_id: str) -> StoredFile | None:
        return None if file_id == first.id else await find(tenant_id, file_id)

    monkeypatch.setattr(files, "find", found_by_then)
    page = await files.list_page("tenant", after=None, limit=3)

    assert [file.id for file in page] == sorted(file.id for file in others)


async def test_files_of_another_purpose_are_read_once(
    files: FileRepository, blobs: WatchedBlobs, tmp_path: Path
) -> None:
    """Not each time that those of one are listed: thousands of them are twice as many requests to a bucket."""
    other = await begun(files, 0, "tenant")
    asked = functools.partial(files.list_page, "tenant", after=None, limit=1, is_whole=True, purpose="user_data")
    await asyncio.to_thread(age, tmp_path / "files")

    assert await asked() == []
    await files.finish(other, "text/plain", "user_data")
    assert [file.id for file in await asked()] == [other.id], "it had no purpose yet"
    for _ in range(3):
        await files.finish(last := await begun(files, 0, "tenant"), "text/plain", "assistants")
    await asyncio.to_thread(age, tmp_path / "files")
    await asked(newest_first=True)
    blobs.counts()

    assert [file.id for file in await asked(newest_first=True)] == [other.id]
    assert blobs.counts() == (3, 4), "a list of them all, and what there is of the one"
    await files.remove("tenant", last.id, last.upload.place)
    assert len(await files.list_page("tenant", after=None, limit=9, is_whole=True, purpose="assistants")) == 2


def age(folder: Path) -> None:
    """What is there was put long ago."""
    for one in folder.rglob("*"):
        os.utime(one, (0, 0))


async def test_a_file_that_a_bucket_is_told_of_twice_is_begun_once(files: FileRepository, blobs: WatchedBlobs) -> None:
    """Its client sends the same again when an answer is lost, and hears of its own."""
    upload, file_id = an_upload(10), new_id()

    begins = [await files.begin("tenant", file_id, upload) for _ in range(2)]

    assert begins == [True, True]
    assert len(await blobs.list("marks/unfinished")) == 1
    assert not await files.begin("tenant", file_id, an_upload(10))
    assert len(await blobs.list("marks/unfinished")) == 1
