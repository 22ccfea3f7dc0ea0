import json
from pathlib import Path

from bench.results import keep
from bench.row import Figure, Load, Row


def row(id: str, work: str) -> Row:
    loads = [Load(requests_per_second=100.0, p50_us=1.0, p99_us=2.0, client_cpu_share=0.1)]
    return Row(id, work, {"ours": loads}, [Figure("ours / bare", [0.9], at_least=0.85)])


def test_a_row_that_runs_again_replaces_itself_and_no_other(tmp_path: Path) -> None:
    keep([row("A1", "first"), row("A3", "untouched")], tmp_path)

    file = keep([row("A1", "second")], tmp_path)

    kept = {each["id"]: each["work"] for each in json.loads(file.read_text())["rows"]}
    assert kept == {"A1": "second", "A3": "untouched"}


def test_a_figure_is_met_by_its_median_in_its_own_direction() -> None:
    assert Figure("at least", [0.1, 0.9, 0.95], at_least=0.85).is_met is True
    assert Figure("at most", [1.0, 4.0, 5.0], at_most=3.0).is_met is False
    assert Figure("told only", [1.0]).is_met is None
