"""The rows: what is compared with what, and what the ratio means. One function a row, from a stage to a `Row`."""

from bench.rows.echo import echo
from bench.rows.gateway import hop
from bench.rows.identity import api_keys, tokens
from bench.rows.search import search
from bench.rows.store import store
from bench.rows.storm import storm

ROWS = {"H1": echo, "K1": hop, "A1": tokens, "A1k": api_keys, "A3": storm, "V1": search, "V2": store}
GROUPS = {"auth": ("A1", "A1k", "A3"), "vectors": ("V1", "V2")}
