"""Loaded by schemathesis: bounds what it would unroll for ever, names an agent that is there, notes what it reached.

It says, too, how a piece of a file is sent.
"""

import os
from pathlib import Path
from typing import Any
from uuid import UUID

import schemathesis

JUNCTIONS = {"FilterAnd": "and", "FilterOr": "or", "FilterNot": "not"}
_AGENT = os.environ.get("SCHEMATHESIS_AGENT")
_REACHED = os.environ.get("SCHEMATHESIS_REACHED")

# To schemathesis a credential is one of a scheme that it takes away again, to see who is let in without; of OAuth 2 it
# does not know that its tokens are bearers.
_BEARER = {"type": "http", "scheme": "bearer"}

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@schemathesis.hook
def before_load_schema(_context: Any, raw_schema: dict[str, Any]) -> None:
    """Junctions of the filter language hold leaves only.

    Every way to break a leaf, in every place of every nesting, made 20,000 cases; one level asks each of them once.
    What filters within filters mean is asked by `vectors/test_filters.py`.
    """
    schemes = raw_schema.get("components", {}).get("securitySchemes", {})
    schemes.update({name: _BEARER for name, scheme in schemes.items() if scheme["type"] == "oauth2"})
    schemas = raw_schema.get("components", {}).get("schemas", {})
    for junction, member in JUNCTIONS.items():
        if junction in schemas:
            held = schemas[junction]["properties"][member]
            held = held.get("items", held)
            held["anyOf"] = [one for one in held["anyOf"] if one["$ref"].rsplit("/", 1)[1] not in JUNCTIONS]


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Nobody can be talked to whose id was made up: what may be an agent's id is that of the first caller's own."""
    if _AGENT is None:
        return
    for given, name in ((case.body, "agent_id"), (case.path_parameters, "other_id")):
        if isinstance(given, dict) and _is_id(given.get(name)):
            given[name] = _AGENT


def _is_id(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


@schemathesis.hook
def after_call(_context: Any, case: Any, response: Any) -> None:
    """A line for each answer: its status, and the operation it is of."""
    if _REACHED:
        with Path(_REACHED).open("a") as note:
            note.write(f"{response.status_code} {case.operation.label}\n")
