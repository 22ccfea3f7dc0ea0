"""How a row looks on the screen."""

import statistics
from collections.abc import Callable

from bench.row import Figure, Load, Row


def show(row: Row) -> None:
    """Every contender with its medians, then the ratios with their extremes and what was promised."""
    print(f"\n{row.id}  {row.work}")
    width = max(len(label) for label in [*row.runs, *(figure.label for figure in row.figures)])
    for name, loads in row.runs.items():
        print(f"  {name:{width}}  {_contender(loads)}")
    if not row.is_credible:
        print(f"  NOT TO BE BELIEVED: others used {row.others_cpu_share:.0%} of the machine meanwhile")
    for figure in row.figures:
        print(f"  {figure.label:{width}}  {_figure(figure)}")


def _contender(loads: list[Load]) -> str:
    parts = [
        f"{_median(loads, lambda load: load.requests_per_second):8.0f}/s",
        f"p50 {_median(loads, lambda load: load.p50_us) / 1000:7.2f} ms",
        f"p99 {_median(loads, lambda load: load.p99_us) / 1000:7.2f} ms",
        f"client {_median(loads, lambda load: load.client_cpu_share):4.0%} of a core",
    ]
    if loads[0].cpu_us_per_request is not None:
        parts.append(f"{_median(loads, lambda load: load.cpu_us_per_request or 0):6.0f} CPU-us each")
    if loads[0].rss_mib is not None:
        parts.append(f"{_median(loads, lambda load: load.rss_mib or 0):4.0f} MiB")
    return "   ".join(parts)


def _figure(figure: Figure) -> str:
    found = f"{figure.median:8.2f} ({min(figure.values):.2f}-{max(figure.values):.2f})"
    if figure.is_met is None:
        return found
    wanted = f">= {figure.at_least}" if figure.at_least is not None else f"<= {figure.at_most}"
    return f"{found}   wanted {wanted}: {'met' if figure.is_met else 'MISSED'}"


def _median(loads: list[Load], of: Callable[[Load], float]) -> float:
    return statistics.median(of(load) for load in loads)
