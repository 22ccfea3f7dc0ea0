from pathlib import Path
from xml.etree import ElementTree

from bench.plot import draw
from bench.results import keep
from bench.row import Figure, Load, Row


def test_a_plot_has_every_contender_and_what_was_missed(tmp_path: Path) -> None:
    runs = {name: [Load(rate, 1.0, 2.0, 0.1)] for name, rate in (("ours", 100.0), ("raw <graph>", 20_000.0))}
    figures = [
        Figure("ours / raw", [0.5, 0.9], at_least=0.8),
        Figure("p99 in ms", [3.0], at_most=50),
        Figure("MiB", [70.0]),
    ]

    picture = draw(keep([Row("V1", "searches", runs, figures)], tmp_path))

    said = [text for element in ElementTree.parse(picture).iter() if (text := (element.text or "").strip())]  # noqa: S314
    assert picture.suffix == ".svg"
    assert {"ours", "raw <graph>", "ours / raw", "p99 in ms", "MiB"} <= set(said)
    assert [text.rpartition(": ")[2] for text in said if text.endswith(("met", "missed"))] == ["missed", "met"]
    assert "70.00" in said
