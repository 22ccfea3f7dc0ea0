"""Draws what was kept: for each row a bar for every contender, and what its ratios came to."""

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH, LINE, LEFT, BARS = 1000, 18, 300, 460
_OURS, _THEIRS, _MET, _MISSED, _TOLD = "#1f6feb", "#9aa4b2", "#1a7f37", "#cf222e", "#57606a"


def draw(results: Path) -> Path:
    """A picture (SVG) beside the file. Returns its path."""
    rows = json.loads(results.read_text())["rows"]
    lines = [line for row in rows for line in _row(row)]
    height = LINE * (len(lines) + 2)
    drawn = "\n".join(f'<g transform="translate(0 {LINE * (at + 2)})">{line}</g>' for at, line in enumerate(lines))
    picture = results.with_suffix(".svg")
    picture.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        f' font-size="12"><rect width="{WIDTH}" height="{height}" fill="white"/>\n{drawn}\n</svg>\n'
    )
    return picture


def _row(row: Mapping[str, Any]) -> Iterator[str]:
    doubt = "" if row["is_credible"] else " (the machine was busy)"
    yield ""
    yield _text(10, f"{row['id']}  {row['work']}{doubt}", weight="bold")
    rates = {name: [load["requests_per_second"] for load in loads] for name, loads in row["runs"].items()}
    yield from _bars(rates)
    yield from map(_figure, row["figures"])


def _bars(rates: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Their lengths are logarithms: what does nothing but search is a hundred times what has a request around it."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    least, most = min(medians.values()), max(medians.values())
    for name, median in medians.items():
        share = math.log(median / least * 2) / math.log(most / least * 2)
        colour = _OURS if name.startswith("ours") else _THEIRS
        bar = f'<rect x="{LEFT}" y="-10" width="{max(2.0, share * BARS):.0f}" height="12" fill="{colour}"/>'
        spread = f"{median:,.0f}/s  ({min(rates[name]):,.0f} to {max(rates[name]):,.0f})"
        yield _text(LEFT - 8, name, anchor="end") + bar + _text(LEFT + share * BARS + 8, spread)


def _figure(figure: Mapping[str, Any]) -> str:
    median = statistics.median(figure["values"])
    least, most = figure["at_least"], figure["at_most"]
    is_met = median >= least if least is not None else most is None or median <= most
    if least is None and most is None:
        colour, wanted = _TOLD, ""
    else:
        bound = f"at least {least:g}" if least is not None else f"at most {most:g}"
        colour, wanted = (_MET, f"{bound}: met") if is_met else (_MISSED, f"{bound}: missed")
    return _text(LEFT - 8, figure["label"], anchor="end") + _text(LEFT, f"{median:,.2f}  {wanted}", fill=colour)


def _text(x: float, text: str, *, anchor: str = "start", fill: str = "black", weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" fill="{fill}" font-weight="{weight}"'
    return f'<text x="{x:.0f}" {style}>{escape(text)}</text>'
