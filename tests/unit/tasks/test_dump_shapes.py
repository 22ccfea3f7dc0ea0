"""Valid dumps with something wrong in each: whatever stands where, it is refused by a code or read, and never a bug."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.tasks.dumps.batches import batches, survey
from services.tasks.dumps.failures import DumpRefused
from services.tasks.dumps.form import Options
from services.tasks.dumps.opening import opened
from tests.unit.tasks.dumping import HEADER, jsonl

MUTATIONS = 120
OPTIONS = {"qdrant": Options(text_field="page", vector_name="dense"), "nameless": Options()}
VALID: dict[str, list[Any]] = {
    "jsonl": [HEADER, {"id": "a", "text": "cat", "metadata": {"n": 1, "tags": ["x"]}, "vector": [1.5, 2]}],
    "headless": [{"id": "a", "text": None, "metadata": None, "vector": "AACAPwAAAEA="}],
    "chroma": [
        {
            "ids": ["a", "b"],
            "embeddings": [[1, 2], [3, 4]],
            "documents": ["cat", None],
            "metadatas": [None, {"n": 1, "deep": {"er": True}}],
            "uris": None,
            "data": None,
            "included": ["embeddings"],
        }
    ],
    "qdrant": [
        {
            "result": {
                "points": [{"id": 7, "payload": {"page": "cat", "m": {"s": "a.md"}}, "vector": {"dense": [1, 2]}}],
                "next_page_offset": None,
            },
            "status": "ok",
        }
    ],
    "nameless": [{"points": [{"id": "9b0e2c1e-0000-4000-8000-000000000000", "payload": None, "vector": [1, 2]}]}],
}
DEEP: Any = json.loads('{"d":' * 200 + "1" + "}" * 200)
WRONG: list[Any] = [
    *(None, True, False, 0, 5, -1, 1.5, 1e300, 2**63, 2**70, 10**400, "", "x", "x" * 200, "\ud7ff\x00", "AAA=", "????"),
    *([], [None], [5], ["x"], [[]], [[1]], [{}], [1, 2, 3], {}, {"x": 5}, {"": {"": []}}, {"x": [None]}, DEEP),
]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every member and element below `value`: what it stands in, and where."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def mutated(valid: list[Any], luck: random.Random) -> list[Any]:
    """One thing of it replaced, taken away or put in beside."""
    lines = copy.deepcopy(valid)
    within, key = luck.choice(list(places(lines)))
    match luck.randrange(5):
        case 0:
            del within[key]
        case 1 if isinstance(within, dict):
            within[luck.choice(["x", "id", "ids", "data", "points", "result"])] = copy.deepcopy(luck.choice(WRONG))
        case 1:
            within.append(copy.deepcopy(luck.choice(WRONG)))
        case _:
            within[key] = copy.deepcopy(luck.choice(WRONG))
    return lines


def judged(path: Path, options: Options) -> str:
    """The code by which it is refused, or how many records it has. What else is raised is a bug."""
    try:
        dump = opened(path, None, options)
        records = survey(dump)["records"]
        assert sum(len(json.loads(batch)["items"]) for batch in batches(dump)) == records
    except DumpRefused as refused:
        return refused.code if refused.detail else "nothing is said of it"
    return f"{records}"


def all_of(path: Path, kind: str) -> set[str]:
    found, luck = set[str](), random.Random(f"shapes of {kind}")
    for number in range(MUTATIONS):
        lines = mutated(VALID[kind], luck)
        path.write_bytes(jsonl(*lines))
        try:
            found.add(judged(path, OPTIONS.get(kind, Options())))
        except Exception as error:
            shown = json.dumps(lines)[:500]
            raise AssertionError(f"mutation {number} of {kind} ends in {error!r}: {shown}") from error
    return found


@pytest.mark.parametrize("kind", VALID)
def test_nothing_in_a_dump_is_a_bug(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(jsonl(*VALID[kind]))
    assert judged(path, OPTIONS.get(kind, Options())) in {"1", "2"}

    found = all_of(path, kind)

    assert len([one for one in found if one.startswith("tasks.dump_")]) > 1


def columns(luck: random.Random) -> dict[str, Any]:
    kinds = [
        pa.array(["a", "b"]),
        pa.array(["a", None]),
        pa.array([b"\xff", b"a"]),
        pa.array([1, 2]),
        pa.array([None, None]),
        pa.array([1.5, float("nan")]),
        pa.array([True, False]),
        pa.array(['{"n": 1}', "[5]"]),
        pa.array(["5", "{"]),
        pa.array([[1.0, 2.0], [3.0, 4.0]]),
        pa.array([[1.0], None]),
        pa.array([[], [1.0]]),
        pa.array([[1.0, None], [1.0, 2.0]]),
        pa.array([[1], [2]]),
        pa.array([["x"], []]),
        pa.array([[1e300], [1.0]]),
        pa.array([{"x": 1}, None]),
        pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float16(), 2)),
        pa.array(["a", "b"]).dictionary_encode(),
    ]
    found = {"id": pa.array(["a", "b"]), "vector": pa.array([[1.0, 2.0], [3.0, 4.0]])}
    for _ in range(luck.randrange(1, 3)):
        found[luck.choice(["id", "text", "metadata", "vector", "other"])] = luck.choice(kinds)
    return found


def test_nothing_in_a_table_is_a_bug(tmp_path: Path) -> None:
    luck, found = random.Random("shapes of a table"), set[str]()
    headers: list[Any] = [None, HEADER, 5, [], {"format": 5}, HEADER | {"version": "1"}, HEADER | {"collection": 5}]
    for number in range(MUTATIONS):
        table, header = pa.table(columns(luck)), luck.choice(headers)
        if header is not None:
            table = table.replace_schema_metadata({"sutazai.vectors": json.dumps(header)})
        pq.write_table(table, tmp_path / "dump")
        try:
            found.add(judged(tmp_path / "dump", Options()))
        except Exception as error:
            raise AssertionError(f"mutation {number} ends in {error!r}: {table.schema}") from error

    assert {"2", "tasks.dump_unknown", "tasks.dump_record_invalid"} <= found
