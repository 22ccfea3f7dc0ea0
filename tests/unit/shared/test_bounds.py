"""What a body holds is counted in its bytes."""

import contextlib
import json
import time

import pytest

from shared.door import Bounds, TooComplex
from shared.errors import TooLarge

BOUNDS = Bounds(kib=1, values=10, texts=20, depth=3)
MEBIBYTE = 2**20


def shape(body: object) -> None:
    BOUNDS.require_shape(body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        {},
        list(range(8)),
        {str(number): number for number in range(9)},
        {"a": [[1]]},
        {"a": ",[{]}" * 50},
        {"a": '"],["' * 50},
        {"a": "\\" * 51, "b": '\\"' * 20},
        ["\\", '"', '\\"', "[[[["],
        b'{"a": "\\\\", "b": "\\"[[[["}',
        b"",
        b'"',
        b"not json at all",
    ],
)
def test_what_stands_in_texts_is_not_counted(body: object) -> None:
    shape(body)


@pytest.mark.parametrize(
    ("body", "of"),
    [
        (list(range(11)), "members and items"),
        ({str(number): 1 for number in range(11)}, "members and items"),
        ({"a": list(range(5)), "b": list(range(5))}, "members and items"),
        (["x"] * 21, "texts"),
        ({"a": [[[1]]]}, "levels"),
        (b"[" * 8, "levels"),
        (b'[["\\\\", [[', "levels"),
        (b"[" * MEBIBYTE, "members and items"),
    ],
)
def test_what_is_more_than_fits_is_refused(body: object, of: str) -> None:
    with pytest.raises(TooComplex, match=of):
        shape(body)


def test_lists_and_objects_may_be_fewer_than_values() -> None:
    bounds = Bounds(kib=1, values=100, texts=20, depth=3, holders=5)
    bounds.require_shape(b'{"a": [1, 2, 3, "[[[[[[[["], "b": [[], {}]}')

    with pytest.raises(TooComplex, match="lists and objects"):
        bounds.require_shape(b'{"a": [[], [], [], [], []]}')


def test_values_in_a_row_may_be_fewer_than_all() -> None:
    bounds = Bounds(kib=1, values=100, texts=40, depth=3, row=4)
    bounds.require_shape(b'{"a": [1, 2, 3, 4], "b": [[1, 2, 3, 4], [1, 2]], "c": ",,,,,,,"}')

    for body in (b"[1, 2, 3, 4, 5]", b'{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}'):
        with pytest.raises(TooComplex, match="A list or object"):
            bounds.require_shape(body)


@pytest.mark.parametrize("depth", [3, 4, 5, 40])
def test_depth_is_the_same_however_its_levels_stand(depth: int) -> None:
    bodies = [b"[" * depth + b"1" + b"]" * depth, b"[" + b"[]," * 2 + b"[" * (depth - 1) + b"]" * depth]

    for body in bodies:
        with contextlib.nullcontext() if depth <= 3 else pytest.raises(TooComplex, match="levels"):
            Bounds(kib=1, values=1_000, texts=20, depth=3).require_shape(body)


def test_the_length_is_told_in_the_refusal() -> None:
    BOUNDS.require_length(1024)
    with pytest.raises(TooLarge, match="1 KiB"):
        BOUNDS.require_length(1025)


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
        b"[" + b"1," * MEBIBYTE + b"1]",
        b"[" * MEBIBYTE + b"]" * MEBIBYTE,
        b'{"a":' * (MEBIBYTE // 5) + b"1" + b"}" * (MEBIBYTE // 5),
        b'{"a":"' + b"\\\\" * MEBIBYTE + b'"}',
        b'{"a":"' + b'\\"' * MEBIBYTE + b'"}',
        b'{"a":"' + b"[,{" * (MEBIBYTE // 2) + b'"}',
    ],
    ids=["members", "items", "lists", "objects", "backslashes", "quotes", "brackets in text"],
)
def test_counting_does_not_hold_up_the_event_loop(body: bytes) -> None:
    took = []
    for _ in range(3):
        began = time.thread_time()  # of a processor, so that a busy machine does not count
        with contextlib.suppress(TooComplex):
            Bounds(kib=2048).require_shape(body)
        took.append(time.thread_time() - began)

    assert min(took) < 0.05
