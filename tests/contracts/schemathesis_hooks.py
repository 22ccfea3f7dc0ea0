"""Loaded by schemathesis: bounds what it would unroll for ever, and says how a piece of a file is sent."""

from typing import Any

import schemathesis

JUNCTIONS = {"FilterAnd": "and", "FilterOr": "or", "FilterNot": "not"}

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@schemathesis.hook
def before_load_schema(_context: Any, raw_schema: dict[str, Any]) -> None:
    """Junctions of the filter language hold leaves only.

    Every way to break a leaf, in every place of every nesting, made 20,000 cases; one level asks each of them once.
    What filters within filters mean is asked by `vectors/test_filters.py`.
    """
    schemas = raw_schema["components"]["schemas"]
    for junction, member in JUNCTIONS.items():
        if junction in schemas:
            held = schemas[junction]["properties"][member]
            held = held.get("items", held)
            held["anyOf"] = [one for one in held["anyOf"] if one["$ref"].rsplit("/", 1)[1] not in JUNCTIONS]
