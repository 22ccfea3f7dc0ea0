"""Both parsers read the same, or the one that does not is not believed."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vectors.records import quick

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False)
    | st.text('aZ0 "\\/é\u2028😀\x7f\x1f\n', max_size=8)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["", "a", "é"]), inner)
)


@given(st.dictionaries(st.sampled_from(["k", "filter", "query"]), VALUES))
def test_it_reads_what_pythons_own_reads(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()

    assert repr(quick.loads(body)) == repr(json.loads(body))


@given(st.lists(st.integers(-(10**320), 10**300) | st.floats(allow_nan=False), min_size=1, max_size=8))
def test_numbers_of_a_vector_are_the_same_numbers(numbers: list[float]) -> None:
    body = json.dumps({"vector": numbers}).encode()

    quickly, slowly = quick.loads(body)["vector"], json.loads(body)["vector"]

    assert [_float(one) for one in quickly] == [_float(one) for one in slowly]


def _float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


@pytest.mark.parametrize(
    "body",
    [
        b'{"k": 1e999}',
        b'{"k": -1e999}',
        b'{"k": NaN}',
        b'{"k": "\\ud800"}',
        b'\xef\xbb\xbf{"k": 1}',
        b'{"k": 1, "k": 2}',
        b'{"k": 18446744073709551616}',
        b'{"k": -9223372036854775809}',
        b'{"filter": {"and": [{"value": 36893488147419103232}]}}',
        b"[1, 2]",
        b'"text"',
    ],
)
def test_what_only_one_of_them_takes_is_read_as_ever(body: bytes) -> None:
    assert repr(quick.loads(body)) == repr(json.loads(body))


@pytest.mark.parametrize("body", [b'{"k": 1', b'{"k": 01}', b'{"k": "\xff"}', b"", b'{"k": ' + b"9" * 5000 + b"}"])
def test_what_neither_takes_is_refused_as_ever(body: bytes) -> None:
    with pytest.raises(ValueError) as told:  # noqa: PT011 - whatever it says is compared
        quick.loads(body)
    with pytest.raises(ValueError) as before:  # noqa: PT011
        json.loads(body)

    assert (type(told.value), str(told.value)) == (type(before.value), str(before.value))


def test_infinite_numbers_of_a_vector_stay_infinite() -> None:
    assert math.isinf(float(quick.loads(b'{"vector": [1e999]}')["vector"][0]))
