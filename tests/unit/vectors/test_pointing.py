"""Where a refusal of a store's search points: at the members that its caller has written."""

import pytest

from services.vectors.errors import AnswerTooLarge
from services.vectors.stores.search_schemas import pointed_at_theirs
from shared.errors import Invalid


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("/searches/0/filter/and/1/field", "/filters/filters/1/key"),
        ("/searches/12/filter/op", "/filters/type"),
        ("/searches/0/query", "/query"),
        ("/searches/0", ""),
        ("/searches", ""),
    ],
)
def test_a_place_in_a_batch_is_told_as_one_in_a_search(ours: str, theirs: str) -> None:
    refused = Invalid.field(ours, "wrong", "It is wrong.")

    assert [problem.pointer for problem in pointed_at_theirs(refused).errors] == [theirs]


def test_what_all_found_hold_together_is_no_place() -> None:
    assert pointed_at_theirs(AnswerTooLarge(2**20)).errors == AnswerTooLarge(2**20).errors
