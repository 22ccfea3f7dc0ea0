"""The order of results: fused, grouped, and told apart where engines do not."""

from typing import Any

from services.vectors.domain import Match
from services.vectors.searching.ranking import best, fused, grouped


def match(key: str, score: float = 1.0, **metadata: Any) -> Match:
    return Match(key, score, None, metadata)


def test_what_is_first_in_both_scores_one_and_ties_come_by_id() -> None:
    first, second = [match("a"), match("b"), match("c")], [match("a"), match("c"), match("b")]

    found = fused([(1, first), (1, second)])

    assert [one.id for one in found] == ["a", "b", "c"]
    assert found[0].score == 1.0
    assert found[1].score == found[2].score < 1.0


def test_a_list_of_no_weight_finds_nothing() -> None:
    assert [one.id for one in fused([(0, [match("a")]), (3, [match("b")])])] == ["b"]


def test_values_of_one_number_are_one_group_and_true_is_another() -> None:
    found = [match("a", x=1), match("b", x=True), match("c", x=1.0), match("d", x="1"), match("e", x=[1, 1, "1"])]

    hits = grouped(found, "x", groups=10, size=5)

    assert [(hit.group, hit.match.id) for hit in hits] == [
        (1, "a"), (1, "c"), (1, "e"), (True, "b"), ("1", "d"), ("1", "e"),
    ]  # fmt: skip


async def test_a_tie_at_the_cut_is_looked_at_to_its_end() -> None:
    """An engine that gives ties in the worst order, and never more than it is asked for."""
    ids = [f"{at:04}" for at in range(500)]
    asked: list[int] = []

    async def fetch(limit: int) -> list[Match]:
        asked.append(limit)
        return [match(key) for key in reversed(ids)][:limit]

    assert [one.id for one in await best(fetch, 3)] == ids[:3]
    assert asked == [11, 44, 176, 704]
