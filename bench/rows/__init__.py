"""The rows: what is compared with what, and what the ratio means. One function a row, from a stage to a `Row`."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.row import Rounds, Row
from bench.rows.beside import beside
from bench.rows.echo import echo
from bench.rows.embedding import batch, embedding
from bench.rows.finished import finished
from bench.rows.gateway import hop
from bench.rows.graph import neighbours
from bench.rows.identity import api_keys, tokens
from bench.rows.search import search
from bench.rows.store import store
from bench.rows.storm import storm
from bench.rows.stream import stream
from bench.rows.tasks import begun, done, submit
from bench.rows.tenants import tenants
from bench.stage import Stage


@dataclass(frozen=True, slots=True)
class Planned:
    """A row, what it may last with all that it has to prepare, and how long one run is."""

    measure: Callable[[Stage, Rounds, int], Row]
    minutes: float
    seconds: int = 4


ROWS = {
    "H1": Planned(echo, minutes=4),
    "K1": Planned(hop, minutes=3),
    "A1": Planned(tokens, minutes=5),
    "A1k": Planned(api_keys, minutes=4),
    "A3": Planned(storm, minutes=6),
    "G1": Planned(neighbours, minutes=6, seconds=3),
    "C1": Planned(stream, minutes=8, seconds=4),
    "V1": Planned(search, minutes=6.5, seconds=2),
    "V2": Planned(store, minutes=2.5),
    "V3": Planned(beside, minutes=1.5),
    "V4": Planned(embedding, minutes=1),
    "E1": Planned(batch, minutes=1),
    "T1": Planned(submit, minutes=4, seconds=3),
    "T2": Planned(done, minutes=6, seconds=3),
    "T3": Planned(begun, minutes=5, seconds=3),
    "M1": Planned(tenants, minutes=8),
    "T4": Planned(finished, minutes=12),
}
GROUPS = {
    "auth": ("A1", "A1k", "A3"),
    "agents": ("G1",),
    "chat": ("C1",),
    "vectors": ("V1", "V2", "V3", "V4"),
    "openai": ("E1",),
    "tasks": ("T1", "T2", "T3"),
    "tenants": ("M1",),
    "finished": ("T4",),
}
APART = (*GROUPS["tenants"], *GROUPS["finished"])
"""What is measured only where it is asked for."""
