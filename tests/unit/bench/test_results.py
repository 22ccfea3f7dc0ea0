import json
from pathlib import Path

import pytest

from bench.results import keep
from bench.row import Figure, Load, Row
from bench.table import show


def row(id: str, work: str) -> Row:
    loads = [Load(requests_per_second=100.0, p50_us=1.0, p99_us=2.0, client_cpu_share=0.1)]
    return Row(id, work, {"ours": loads}, [Figure("ours / bare", [0.9], at_least=0.85)])


def test_a_row_that_runs_again_replaces_itself_and_no_other(tmp_path: Path) -> None:
    keep([row("A1", "first"), row("A3", "untouched")], tmp_path)

    file = keep([row("A1", "second")], tmp_path)

    kept = {each["id"]: each["work"] for each in json.loads(file.read_text())["rows"]}
    assert kept == {"A1": "second", "A3": "untouched"}


@pytest.mark.parametrize(("shares", "credible"), [((0.01, 0.02, 0.9), True), ((0.01, 0.3, 0.4), False)])
def test_a_busy_machine_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shares: tuple[float, ...], credible: bool
) -> None:
    loads = [Load(100.0, 1.0, 2.0, 0.1, others_cpu_share=share) for share in shares]
    measured = Row("A1", "work", {"ours": loads}, [])

    show(measured)
    kept = json.loads(keep([measured], tmp_path).read_text())["rows"][0]

    assert kept["is_credible"] is credible
    assert ("NOT TO BE BELIEVED" in capsys.readouterr().out) is not credible


def test_a_figure_is_met_by_its_median_in_its_own_direction() -> None:
    assert Figure("at least", [0.1, 0.9, 0.95], at_least=0.85).is_met is True
    assert Figure("at most", [1.0, 4.0, 5.0], at_most=3.0).is_met is False
    assert Figure("told only", [1.0]).is_met is None
