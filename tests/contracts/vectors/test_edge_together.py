"""Edge's process takes the commands that wait together, and has their writes on disk before it tells of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from services.vectors.adapters import edge_worker
from services.vectors.adapters.edge_intake import Intake, by_shard
from services.vectors.adapters.edge_protocol import HEADER_BYTES, Message, encode, lengths
from services.vectors.adapters.edge_shards import Shards
from services.vectors.adapters.edge_worker import replies

_MOST = 32


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[Shards]:
    """With an empty one."""
    opened = Shards(tmp_path, most_bytes=2**20)
    opened.create("one", 2, "l2", {})
    yield opened
    opened.close()


def upsert(number: int, name: str = "one") -> tuple[Message, bytes]:
    point = {"id": f"00000000-0000-0000-0000-{number:012}", "payload": {}}
    asked = {"do": "upsert", "points": [point], "words": [0], "numbers": [], "most": 1}
    return asked | {"id": number, "name": name}, bytes(8)


def count(number: int, name: str = "one") -> tuple[Message, bytes]:
    return {"do": "count", "filter": None, "id": number, "name": name}, b""


def answers_of(reply: bytes) -> list[Message]:
    found: list[Message] = []
    while reply:
        body, blob = lengths(reply[:HEADER_BYTES])
        found.append(orjson.loads(reply[HEADER_BYTES : HEADER_BYTES + body]))
        reply = reply[HEADER_BYTES + body + blob :]
    return found


def read(reply: bytes) -> list[tuple[int, int | None]]:
    """Of each answer which command it is to, and what was counted."""
    return [(answer["id"], answer.get("count")) for answer in answers_of(reply)]


def test_writes_are_told_of_together_once_they_are_on_disk(shards: Shards) -> None:
    shard = shards.get("one")
    told = replies(shards, "one", [count(0), *(upsert(at) for at in range(1, 9)), count(9)])

    assert read(next(told)) == [(0, 0)]
    assert shard.count() == 0
    assert read(next(told)) == [*((at, None) for at in range(1, 9)), (9, 8)]
    assert shard.is_settled
    assert list(told) == []


def test_a_write_that_does_not_reach_the_disk_is_told_so_and_keeps_its_own_reason(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard, torn = shards.get("one"), upsert(2)[0] | {"words": [0, 0]}
    with monkeypatch.context() as broken:
        broken.setattr(shard, "settle", _fails)
        frames = [upsert(1), (torn, bytes(8)), count(3)]
        answers = {one["id"]: one for one in answers_of(b"".join(replies(shards, "one", frames)))}

    assert (answers[1]["error"], answers[1]["detail"]) == ("failed", "OSError: no space left on device")
    assert "no space" not in answers[2]["detail"]
    assert "error" not in answers[3]
    assert read(b"".join(replies(shards, "one", [upsert(4), count(5)]))) == [(4, None), (5, 2)]
    assert shard.is_settled


def test_large_answers_do_not_wait_for_each_other(shards: Shards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_worker, "_HELD_BYTES", 15)
    found = {"do": "find", "point": "00000000-0000-0000-0000-000000000001", "name": "one"}
    frames = [upsert(1), *((found | {"id": at}, b"") for at in range(2, 7))]

    told = [len(answers_of(reply)) for reply in replies(shards, "one", frames)]

    assert told == [3, 1, 1, 1]  # the write and two of eight bytes, and each of the others as it comes


def test_a_compaction_that_fails_is_not_tried_again_by_the_next_write(tmp_path: Path) -> None:
    shards = Shards(tmp_path, most_bytes=2**20, compact_after=1)
    shards.create("one", 2, "l2", {})
    assert list(replies(shards, "one", [upsert(1)]))
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(shards.get("one"), "_shard", Unwilling(shards.get("one")._shard))
        with pytest.raises(OSError, match="no space"):
            shards.get("one").compact_when_due()
    shards.get("one").compact_when_due()

    assert (tmp_path / "one" / "written").read_text() == "0"
    shards.close()


class Unwilling:
    """A shard that has no room to be compacted."""

    def __init__(self, shard: object) -> None:
        self._shard = shard

    def __getattr__(self, name: str) -> object:
        return _fails if name == "optimize" else getattr(self._shard, name)


def _fails() -> None:
    raise OSError("no space left on device")


def test_each_shard_is_answered_by_itself() -> None:
    frames = [upsert(1, "one"), count(2, "two"), upsert(3, "one"), ({"do": "close_idle", "id": 4}, b"")]

    assert [[message["id"] for message, _ in some] for some in by_shard(frames)] == [[1, 3], [2], [4]]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_what_waits_is_taken_together_up_to_a_bound(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    intake = Intake(reading)
    os.write(writing, b"".join(encode(*upsert(at)) for at in range(_MOST + 3)))

    first, second = intake.waiting(), intake.waiting()

    assert [message["id"] for message, _ in first + second] == list(range(_MOST + 3))
    assert len(first) == _MOST
    assert {blob for _, blob in first + second} == {bytes(8)}


def test_the_end_of_the_pipe_is_the_end(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    intake = Intake(reading)
    os.write(writing, encode(*count(1)) + encode(*count(2))[:3])
    other = os.open(os.devnull, os.O_WRONLY)
    os.dup2(other, writing)  # nobody else has the other end
    os.close(other)

    assert [message["id"] for message, _ in intake.waiting()] == [1]
    assert intake.waiting() == []
