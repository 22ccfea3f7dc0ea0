"""What the program reads and writes: every format there and back, and every file that is refused."""

import base64
import io
import json
import os
import struct
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.tasks.dumps.batches import survey
from services.tasks.dumps.failures import DumpTooLarge
from services.tasks.dumps.form import Dump, DumpFormat, Row
from services.tasks.dumps.program import opened, scratch
from services.tasks.errors import PermanentFailure
from shared.errors import StorageFull, Unavailable
from tests.unit.tasks.dumping import HEADER, jsonl, read, written, zipped

PAGE: list[dict[str, Any]] = [
    {"id": "größe/a b", "text": "Käse, 猫 and 🐈", "metadata": {"tags": ["x"], "n": 1.5}, "vector": [0.1, -2.0]},
    {"id": "b", "text": None, "metadata": {}, "vector": [3.4e38, 1e-45]},
]
A = {"id": "a", "vector": [1, 2]}
FORMATS = [
    {"format": "jsonl"},
    {"format": "jsonl", "vectors": "base64"},
    {"format": "jsonl", "gzip": True},
    {"format": "parquet"},
]


def numbers(item: dict[str, Any]) -> list[float]:
    coded = base64.b64decode(item["vector"])
    return list(struct.unpack(f"<{len(coded) // 4}f", coded))


def float32(values: list[float]) -> list[float]:
    return list(struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values)))


def parquet(columns: dict[str, Any], header: Any = None) -> bytes:
    table = pa.table(columns)
    if header is not None:
        table = table.replace_schema_metadata({"sutazai.vectors": json.dumps(header)})
    pq.write_table(table, made := io.BytesIO())
    return made.getvalue()


def archive() -> bytes:
    with tarfile.open(fileobj=(made := io.BytesIO()), mode="w") as tar:
        tar.addfile(tarfile.TarInfo("config.json"))
    return made.getvalue()


@pytest.mark.parametrize("options", FORMATS, ids=lambda options: "-".join(map(str, options.values())))
async def test_what_is_written_is_read_the_same(options: dict[str, Any]) -> None:
    survey, items, _ = await read(await written(PAGE, **options))

    assert survey == {
        "format": options["format"],
        "collection": HEADER["collection"],
        "records": 2,
        "dimension": 2,
    }
    assert [(one["id"], one.get("text"), one["metadata"]) for one in items] == [
        (one["id"], one["text"], one["metadata"]) for one in PAGE
    ]
    assert [numbers(one) for one in items] == [float32(one["vector"]) for one in PAGE]


@pytest.mark.parametrize("options", FORMATS, ids=lambda options: "-".join(map(str, options.values())))
async def test_a_dump_of_nothing_still_says_what_it_is_of(options: dict[str, Any]) -> None:
    survey, items, _ = await read(await written([], **options))

    assert (survey["records"], survey["dimension"], survey["collection"]) == (0, 2, HEADER["collection"])
    assert items == []


async def test_a_file_made_by_hand_needs_no_header() -> None:
    survey, items, places = await read(jsonl(A, "", {"id": "b", "text": "cat", "metadata": None}))

    assert (survey["collection"], survey["dimension"]) == (None, 2)
    assert places == ["line 1", "line 3"]
    assert items[1] == {"id": "b", "text": "cat", "metadata": {}}


async def test_a_table_of_doubles_and_absent_columns_is_read() -> None:
    survey, items, places = await read(parquet({"id": ["a", "b"], "vector": [[1.0, 2.0], [0.5, 0.25]]}))

    assert (survey["format"], survey["dimension"], places) == ("parquet", 2, ["record 1", "record 2"])
    assert [numbers(one) for one in items] == [[1, 2], [0.5, 0.25]]


async def test_what_chroma_answers_is_read_in_one_value_or_page_by_page() -> None:
    page = {
        "ids": ["a", "b"],
        "embeddings": [[1, 2], [3, 4]],
        "documents": ["cat", None],
        "metadatas": [None, {"n": 1, "gone": None}],
        "uris": None,
        "data": None,
        "included": ["embeddings", "documents", "metadatas"],
    }
    _, items, places = await read(json.dumps(page, indent=2).encode())
    again = (await read(zipped(jsonl(page, {"ids": ["c"], "documents": ["dog"], "embeddings": None}))))[1]

    assert places == ["the file, record 1", "the file, record 2"]
    assert [(one["id"], one.get("text"), one["metadata"]) for one in items] == [("a", "cat", {}), ("b", None, {"n": 1})]
    assert again == [*items, {"id": "c", "text": "dog", "metadata": {}}]


async def test_what_qdrant_answers_is_read() -> None:
    points = [
        {"id": 7, "payload": {"page": "cat", "metadata": {"source": "a.md"}, "gone": None}, "vector": [1, 2]},
        {"id": "9b0e2c1e-0000-4000-8000-000000000000", "payload": None, "vector": {"dense": [3, 4]}},
    ]
    answer = {"result": {"points": points, "next_page_offset": None}, "status": "ok", "time": 0.1}
    survey, items, _ = await read(json.dumps(answer).encode(), text_field="page", format="qdrant")

    assert survey["format"] == "qdrant"
    assert (items[0]["id"], items[0]["text"], items[0]["metadata"]) == ("7", "cat", {"metadata.source": "a.md"})
    assert numbers(items[1]) == [3, 4]


async def test_of_several_vectors_one_is_named() -> None:
    point = {"id": 1, "vector": {"a": [1, 2], "b": [3, 4], "sparse": {"indices": [1], "values": [1]}}}
    answer = json.dumps({"points": [point]}).encode()

    items = (await read(answer, vector_name="b"))[1]
    with pytest.raises(PermanentFailure, match="'vector_name'; there are 'a', 'b', 'sparse'"):
        await read(answer)

    assert numbers(items[0]) == [3, 4]


async def test_texts_come_in_smaller_batches_than_vectors() -> None:
    texts = jsonl(*({"id": f"{n}", "text": "cat"} for n in range(65)))
    survey, items, _ = await read(texts)

    assert (survey["dimension"], len(items)) == (None, 65)


BROKEN: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "dump_unknown", "empty"),
    "blank": (b" \n\n", "dump_unknown", "empty"),
    "image": (b"\x89PNG\r\n\x1a\n" + bytes(99), "dump_unknown", "neither Parquet nor JSON"),
    "snapshot": (archive(), "dump_snapshot", "points/scroll"),
    "packed-snapshot": (zipped(archive()), "dump_snapshot", "points/scroll"),
    "other-json": (b'{"hello": 1}', "dump_unknown", "no dump of ours"),
    "other-header": (jsonl({"format": "lance", "version": 1}), "dump_unknown", "'sutazai.vectors'"),
    "future": (jsonl(HEADER | {"version": 2}, A), "dump_version", "version 2; this installation reads 1"),
    "no-version": (jsonl({"format": "sutazai.vectors", "collection": {}}), "dump_version", "None"),
    "bad-header": (jsonl(HEADER | {"collection": {"dimension": "2"}}), "dump_unknown", "dimension"),
    "line": (jsonl(HEADER, A, '{"id": "b", "vec'), "dump_record_invalid", "Line 3: Is no JSON"),
    "no-object": (jsonl(HEADER, [1]), "dump_record_invalid", "Line 2"),
    "nan": (jsonl(HEADER, '{"id": "b", "vector": [NaN, 1]}'), "dump_record_invalid", "Line 2: Is no JSON"),
    "member": (jsonl(HEADER, A | {"embedding": []}), "dump_record_invalid", "'embedding'"),
    "no-id": (jsonl(HEADER, {"vector": [1, 2]}), "dump_record_invalid", "Line 2: 'id'"),
    "long-id": (jsonl(HEADER, A | {"id": "a" * 129}), "dump_record_invalid", "128"),
    "nothing": (jsonl(HEADER, {"id": "a"}), "dump_record_invalid", "a text or a vector"),
    "metadata": (jsonl(HEADER, A | {"metadata": []}), "dump_record_invalid", "'metadata'"),
    "overflow": (jsonl(HEADER, A | {"vector": [1e300, 1]}), "dump_record_invalid", "finite"),
    "words": (jsonl(HEADER, A | {"vector": ["1", 2]}), "dump_record_invalid", "list of numbers"),
    "base64": (jsonl(HEADER, A | {"vector": "???"}), "dump_record_invalid", "RFC 4648"),
    "no-vector": (jsonl(HEADER, A | {"vector": []}), "dump_record_invalid", "1 to 4096"),
    "dimension": (jsonl(HEADER, A, {"id": "b", "vector": [1]}), "dump_dimension", "Line 3: its vector has 1"),
    "against-header": (
        jsonl(HEADER, {"id": "b", "vector": [1, 2, 3]}),
        "dump_dimension",
        "3 dimensions, and the dump 2",
    ),
    "cut-gzip": (zipped(jsonl(HEADER, *[A] * 500))[:-20], "dump_broken", "compression"),
    "bad-gzip": (zipped(jsonl(HEADER, A))[:12] + bytes(40), "dump_broken", "compression"),
    "bomb": (zipped(b"[" + b" " * (2**25 + 9)), "dump_too_large", "Line 1 has more than"),
    "parquet": (b"PAR1" + bytes(64), "dump_broken", "Parquet"),
    "cut-parquet": (parquet({"id": ["a"], "vector": [[1.0]]})[:-30], "dump_broken", "Parquet"),
    "column": (parquet({"id": ["a"], "vec": [[1.0]]}), "dump_unknown", "'vec'"),
    "no-column": (parquet({"vector": [[1.0]]}), "dump_unknown", "'id'"),
    "integers": (parquet({"id": ["a"], "vector": [[1]]}), "dump_unknown", "floating-point"),
    "null-number": (parquet({"id": ["a"], "vector": [[1.0, None]]}), "dump_record_invalid", "Record 1"),
    "nan-number": (parquet({"id": ["a"], "vector": [[1.0, float("nan")]]}), "dump_record_invalid", "finite"),
    "table-metadata": (
        parquet({"id": ["a"], "vector": [[1.0]], "metadata": ["{"]}),
        "dump_record_invalid",
        "Record 1: Is no JSON",
    ),
    "future-table": (parquet({"id": ["a"]}, HEADER | {"version": 9}), "dump_version", "version 9"),
    "chroma-lengths": (jsonl({"ids": ["a", "b"], "embeddings": [[1]]}), "dump_record_invalid", "as long as 'ids'"),
    "chroma-uris": (jsonl({"ids": ["a"], "embeddings": [[1]], "uris": ["x"]}), "dump_record_invalid", "'uris'"),
    "qdrant-list": (
        jsonl({"points": [{"id": 1, "vector": [1], "payload": {"a": [{"b": 1}]}}]}),
        "dump_record_invalid",
        "Line 1, point 1: The list 'a'",
    ),
    "qdrant-many": (jsonl({"points": [{"id": 1, "vector": [[1], [2]]}]}), "dump_record_invalid", "list of numbers"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_bad_file_is_refused_by_what_is_wrong(name: str) -> None:
    content, code, words = BROKEN[name]

    with pytest.raises(PermanentFailure, match=words) as refused:
        await read(content)

    assert refused.value.code == f"tasks.{code}"


@pytest.mark.parametrize(
    ("options", "words"),
    [({"format": "parquet"}, "'jsonl', not 'parquet'"), ({"text_field": "page"}, "are for 'qdrant'")],
    ids=["format", "option"],
)
async def test_what_does_not_fit_the_file_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PermanentFailure, match=words):
        await read(jsonl(HEADER, A), **options)


async def test_a_table_that_unpacks_beyond_memory_is_refused() -> None:
    """The same eight megabytes 256 times: a file of less than one, and two gigabytes in a batch of it."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 256, pa.int32()), ["x" * 2**23])
    content = parquet({"id": column})

    with pytest.raises(PermanentFailure) as refused:
        await read(content)

    assert len(content) < 2**20
    assert refused.value.code == "tasks.dump_too_large"


async def test_a_full_disk_is_told_as_one() -> None:
    file = os.open("/dev/full", os.O_RDWR)
    options = {"collection": HEADER["collection"], "format": "jsonl", "gzip": False, "vectors": "list"}
    try:
        async with opened("write", Path(f"/dev/fd/{file}"), options) as program:
            await program.end()
            with pytest.raises(StorageFull):
                await program.receive()
    finally:
        os.close(file)


async def test_a_program_that_dies_is_a_failure_of_the_file() -> None:
    async with scratch() as path, opened("write", path, {"no": "options"}) as program:
        with pytest.raises(PermanentFailure) as refused:
            await program.receive()

    assert refused.value.code == "tasks.dump_unreadable"


async def test_a_program_that_is_killed_says_nothing_of_its_file() -> None:
    """Where memory is short it goes first, and another's dump may be why."""
    options = {"collection": HEADER["collection"], "format": "jsonl", "gzip": False, "vectors": "list"}
    async with scratch() as path, opened("write", path, options) as program:
        program._process.kill()

        with pytest.raises(Unavailable):
            await program.receive()


async def test_a_dump_holds_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(f"line {at}", {"id": f"{at}", "text": "x" * 90}, 0) for at in range(3)]
    dump = Dump(DumpFormat.JSONL, None, lambda: iter(rows))
    monkeypatch.setattr("services.tasks.dumps.batches.MAX_BYTES", 300)

    with pytest.raises(DumpTooLarge, match="or 300 bytes"):
        survey(dump)


async def test_a_record_is_no_larger_than_vectors_takes() -> None:
    """It is refused by its place, before the worker has it in memory."""
    rows = [{"id": "a", "text": "x"}, {"id": "b", "text": "x", "metadata": {"note": "x" * 2**22}}]

    with pytest.raises(PermanentFailure, match="Line 3: Has 41943") as refused:
        await read(jsonl(HEADER, *rows))

    assert refused.value.code == "tasks.dump_record_invalid"
