"""Cursors: opaque, signed, bound to their list and filters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.resources import CursorCodec, cut

CODEC = CursorCodec("s" * 32)
SCOPE = ["agents", "tenant-1", {"q": "x"}]


@given(st.lists(st.one_of(st.text(), st.integers(-(2**53), 2**53), st.none()), max_size=4))
def test_a_cursor_gives_back_its_position(position: list[object]) -> None:
    assert CODEC.decode(CODEC.encode(position, scope=SCOPE), scope=SCOPE) == position


def test_no_cursor_is_the_beginning() -> None:
    assert CODEC.decode(None, scope=SCOPE) is None


@pytest.mark.parametrize("scope", [["agents", "tenant-2", {"q": "x"}], ["agents", "tenant-1", {"q": "y"}], ["tasks"]])
def test_a_cursor_fits_no_other_list(scope: list[object]) -> None:
    with pytest.raises(Invalid):
        CODEC.decode(CODEC.encode([1], scope=SCOPE), scope=scope)


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "!" * 40, CODEC.encode([1], scope=SCOPE)[:-2] + "xx"])
def test_a_cursor_we_did_not_make_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        CODEC.decode(cursor, scope=SCOPE)


def test_another_secret_refuses_it() -> None:
    with pytest.raises(Invalid):
        CursorCodec("t" * 32).decode(CODEC.encode([1], scope=SCOPE), scope=SCOPE)


@pytest.mark.parametrize(("rows", "page", "last"), [([1, 2, 3], [1, 2], 2), ([1, 2], [1, 2], None), ([], [], None)])
def test_a_page_knows_whether_it_is_the_last(rows: list[int], page: list[int], last: int | None) -> None:
    assert cut(rows, 2) == (page, last)
