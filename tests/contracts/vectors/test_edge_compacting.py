"""A shard of Edge that is filled and emptied again and again keeps its size, though it is closed in between."""

from pathlib import Path
from typing import Any

import pytest

from services.vectors.adapters.edge_shard import Shard
from services.vectors.adapters.edge_shards import Shards
from services.vectors.adapters.edge_worker import edge_filter

_POINTS = 500
_AFTER = 4000  # writes; from a thousand points on Edge reclaims what was deleted


def ids_of(turn: int) -> list[str]:
    return [f"00000000-0000-0000-0000-{turn * _POINTS + at:012}" for at in range(_POINTS)]


def fill_and_empty(shard: Shard, turn: int) -> None:
    points = [{"id": one, "payload": {"text": "x" * 200}} for one in ids_of(turn)]
    vectors: list[dict[str, Any]] = [{"": [1.0] * 64} for _ in points]
    shard.upsert(points, vectors, [], 1)
    doomed = edge_filter({"must": [{"has_id": ids_of(turn)}]})
    assert doomed is not None
    assert shard.delete(doomed) == _POINTS
    shard.settle()
    shard.compact_when_due()


def size_of(path: Path) -> int:
    """Bytes on disk, without the log of writes, which Edge cuts by itself."""
    return sum(file.stat().st_blocks * 512 for file in (path / "segments").rglob("*") if file.is_file())


@pytest.mark.parametrize("ends", ["closed", "left open"])
def test_a_shard_that_is_filled_and_emptied_does_not_grow(tmp_path: Path, ends: str) -> None:
    shards = Shards(tmp_path, most_bytes=2**30, compact_after=_AFTER)
    shards.create("one", 64, "dot", {})
    sizes = list[int]()
    for turn in range(20):
        fill_and_empty(shards.get("one"), turn)
        if ends == "closed":
            shards.close()
        sizes.append(size_of(tmp_path / "one"))

    assert max(sizes[8:]) <= max(sizes[:8])
    assert shards.get("one").count() == 0
    shards.close()


def test_how_much_was_written_is_known_after_a_kill(tmp_path: Path) -> None:
    """The folder as it lies on disk while the shard is open is what a killed process leaves."""
    shards = Shards(tmp_path, most_bytes=2**30, compact_after=_AFTER)
    shards.create("one", 64, "dot", {})
    for turn in range(3):
        fill_and_empty(shards.get("one"), turn)

    assert int((tmp_path / "one" / "written").read_text()) == 3 * 2 * _POINTS
    shards.close()


def test_a_count_that_was_broken_off_is_none(tmp_path: Path) -> None:
    shards = Shards(tmp_path, most_bytes=2**30, compact_after=_AFTER)
    shards.create("one", 64, "dot", {})
    (tmp_path / "one" / "written").write_text("")

    fill_and_empty(shards.get("one"), 0)

    assert int((tmp_path / "one" / "written").read_text()) == 2 * _POINTS
    shards.close()
