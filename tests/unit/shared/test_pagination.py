"""Cursors: opaque, signed, bound to their list and filters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.resources import CursorCodec

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


LISTED = [3, 5, 8, 13, 21]


async def read(after: int | None, most: int) -> list[int]:
    """What a repository does: up to `most` rows that follow `after`."""
    return [row for row in LISTED if after is None or row > after][:most]


async def read_pairs(after: list[int] | None, most: int) -> list[tuple[int, int]]:
    return [(row, row % 2) for row in LISTED if after is None or row > after[0]][:most]


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
async def test_slices_give_every_row_once_and_the_last_has_no_cursor(limit: int) -> None:
    seen: list[int] = []
    cursor, slices = None, 0
    while slices == 0 or cursor is not None:
        found = await CODEC.slice(read, key=lambda row: row, scope=SCOPE, limit=limit, cursor=cursor)
        assert len(found.rows) <= limit
        seen, cursor, slices = seen + found.rows, found.next_cursor, slices + 1

    assert seen == LISTED
    assert slices == -(-len(LISTED) // limit)


async def test_a_position_may_have_several_parts() -> None:
    first = await CODEC.slice(read_pairs, key=list, scope=SCOPE, limit=2, cursor=None)
    second = await CODEC.slice(read_pairs, key=list, scope=SCOPE, limit=2, cursor=first.next_cursor)

    assert [row for row, _ in first.rows + second.rows] == LISTED[:4]


async def test_a_slice_of_nothing_is_the_last() -> None:
    async def nothing(_after: int | None, _most: int) -> list[int]:
        return []

    assert (await CODEC.slice(nothing, key=lambda row: row, scope=SCOPE, limit=2, cursor=None)).next_cursor is None
