import math

import pytest

from bench.row import FEWEST_ROUNDS, Load, Rounds, in_turns


@pytest.mark.parametrize(("until", "counted"), [(math.inf, 7), (-math.inf, FEWEST_ROUNDS)])
def test_rounds_end_with_their_time_but_not_before_the_fewest(until: float, counted: int) -> None:
    turns: list[str] = []

    def run(name: str) -> dict[str, Load]:
        turns.append(name)
        return {name: Load(1.0, 1.0, 1.0, 0.0)}

    runs = in_turns([lambda: run("ours"), lambda: run("raw")], Rounds(7, until), patience=0)

    assert {name: len(loads) for name, loads in runs.items()} == {"ours": counted, "raw": counted}
    assert turns == ["ours", "raw"] * (counted + 1)  # the first round warms up
