"""The slots that meet a filter are those of the records there are now, whatever was answered before."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.vectors.adapters.faiss_filters import numbers
from services.vectors.adapters.faiss_records import FaissRecords, create
from services.vectors.domain import Op, Record
from services.vectors.terms import (
    AllOf,
    AnyOf,
    Condition,
    HasAnyTerm,
    NoneOf,
    has_any_value,
    has_field,
    number_past,
)

VECTOR = np.ones(2, dtype=np.float32)


def record(at: int, **metadata: int | str) -> Record:
    return Record(str(at), VECTOR, None, metadata)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[FaissRecords]:
    create(tmp_path / "records.db", {})
    opened = FaissRecords(tmp_path / "records.db")
    opened.write([(at, record(at, n=at, kind="even" if at % 2 == 0 else "odd")) for at in range(10)])
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("condition", "slots"),
    [
        (number_past("n", Op.GTE, 7), [7, 8, 9]),
        (has_any_value("kind", ["even"]), [0, 2, 4, 6, 8]),
        (has_any_value("n", [1, 2.0, 30]), [1, 2]),
        (AllOf((has_any_value("kind", ["odd"]), number_past("n", Op.LT, 4))), [1, 3]),
        (AnyOf((number_past("n", Op.LT, 1), number_past("n", Op.GT, 8))), [0, 9]),
        (NoneOf(number_past("n", Op.GT, 1)), [0, 1]),
        (NoneOf(NoneOf(has_any_value("n", [3]))), [3]),
        (NoneOf(has_field("missing")), list(range(10))),
        (HasAnyTerm(()), []),
    ],
)
def test_a_filter_names_its_records_in_the_order_of_their_slots(
    records: FaissRecords, condition: Condition, slots: list[int]
) -> None:
    assert [records.select(condition).tolist() for _ in range(2)] == [slots, slots]


def test_what_is_written_changed_and_deleted_counts_at_once(records: FaissRecords) -> None:
    large, small = number_past("n", Op.GTE, 8), NoneOf(number_past("n", Op.GTE, 2))
    assert (records.select(large).tolist(), records.select(small).tolist()) == ([8, 9], [0, 1])

    records.write([(3, record(3, n=80)), (12, record(12, n=12))])
    assert (records.select(large).tolist(), records.select(small).tolist()) == ([3, 8, 9, 12], [0, 1])

    records.set_metadata("8", {"n": 0})
    assert (records.select(large).tolist(), records.select(small).tolist()) == ([3, 9, 12], [0, 1, 8])

    records.delete([0, 12])
    assert (records.select(large).tolist(), records.select(small).tolist()) == ([3, 9], [1, 8])


@pytest.mark.parametrize("count", [0, 1, 3, 250_000])
def test_numbers_are_read_in_pieces_and_none_is_cut(count: int) -> None:
    pieces = list(numbers(",".join(map(str, range(count)))))

    assert [number for piece in pieces for number in piece.tolist()] == list(range(count))
    assert (len(pieces) > 1) is (count > 1000)
