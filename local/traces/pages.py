"""The two pages: the newest traces, and one of them as bars along its time. HTML alone, without a script."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import quote

from local.traces.spans import Span
from local.traces.store import Trace

_MS: Final = 1e6
_DEEPEST: Final = 40
"""Rows are no further in than that."""
_HUES: Final = 360
_STYLE: Final = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff }
table { border-collapse: collapse; width: 100% } th { text-align: left } td, th { padding: .15rem .6rem }
tr:nth-child(even) { background: #f5f5f7 } .n { text-align: right; font-variant-numeric: tabular-nums }
.failed { color: #b00020 } .time { position: relative; width: 50%; min-width: 20rem }
.bar { position: absolute; top: .35rem; height: .9rem; min-width: 2px; border-radius: 2px }
summary { cursor: pointer } dl { margin: .2rem 1rem; color: #555 } dd { margin: 0 0 0 1rem }
@media (prefers-color-scheme: dark) {
    body { color: #ddd; background: #18181b } tr:nth-child(even) { background: #222226 }
    dl { color: #aaa } a { color: #8ab4ff } .failed { color: #ff6b81 }
}
"""


def listed(traces: Sequence[Trace], services: Iterable[str]) -> str:
    """The newest, each with a link to it."""
    links = "".join(f' <a href="?service={quote(name)}">{escape(name)}</a>' for name in services)
    rows = "".join(map(_row, traces)) or '<tr><td colspan="5">none yet: send a request, and look again</td></tr>'
    return _page(
        "Traces",
        f'<p><a href="?">all</a> <a href="?failed=true">with a failure</a>{links}</p>'
        "<table><tr><th>began (UTC)</th><th>what</th>"
        f"<th class=n>ms</th><th class=n>spans</th><th class=n>failed</th></tr>{rows}</table>",
    )


def _row(trace: Trace) -> str:
    failed = f'<td class="n failed">{trace.failed}</td>' if trace.failed else "<td class=n>0</td>"
    return (
        f'<tr><td>{_clock(trace.started_ns)}</td><td><a href="traces/{trace.trace_id}">'
        f"{escape(trace.service)}: {escape(trace.name)}</a></td>"
        f"<td class=n>{(trace.ended_ns - trace.started_ns) / _MS:.1f}</td><td class=n>{trace.spans}</td>{failed}</tr>"
    )


def shown(spans: Sequence[Span]) -> str:
    """One trace: who called whom, and when."""
    began = min(span.started_ns for span in spans)
    whole = max(max(span.ended_ns for span in spans) - began, 1)
    rows = "".join(_bar(span, depth, began, whole) for span, depth in in_order(spans))
    trace_id = spans[0].trace_id
    return _page(
        f"Trace {trace_id}",
        f'<p><a href="../">all traces</a> · began {_clock(began)} UTC · {whole / _MS:.1f} ms · {len(spans)} spans</p>'
        f"<table><tr><th>what</th><th class=n>ms</th><th>when</th></tr>{rows}</table>",
    )


def in_order(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """Each span after the one it belongs to, with its depth; what belongs to none that is known is outermost."""
    known = {span.span_id for span in spans}
    under: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        under[span.parent_id if span.parent_id in known else ""].append(span)
    waiting = [(span, 0) for span in reversed(under[""])]
    while waiting:
        span, depth = waiting.pop()
        yield span, depth
        waiting.extend((child, depth + 1) for child in reversed(under.pop(span.span_id, [])))


def _bar(span: Span, depth: int, began: int, whole: int) -> str:
    left, width = (100 * part / whole for part in (span.started_ns - began, span.ended_ns - span.started_ns))
    hue = sum(span.service.encode()) * 47 % _HUES  # of one service always the same
    look = f"left: {left:.2f}%; width: {width:.2f}%; background: hsl({hue} 60% 50%)"
    told = "".join(f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in _told(span))
    failed = " class=failed" if span.has_failed else ""
    return (
        f'<tr><td style="padding-left: {min(depth, _DEEPEST) * 1.2 + 0.6:.1f}rem"><details><summary{failed}>'
        f"{escape(span.service)}: {escape(span.name)}</summary><dl>{told}</dl></details></td>"
        f"<td class=n>{(span.ended_ns - span.started_ns) / _MS:.1f}</td>"
        f'<td class=time><div class=bar style="{look}"></div></td></tr>'
    )


def _told(span: Span) -> list[tuple[str, object]]:
    return [("kind", span.kind), ("span", span.span_id), *json.loads(span.attributes).items()]


def _clock(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000 % 253_402_300_799, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>\n"
    )
