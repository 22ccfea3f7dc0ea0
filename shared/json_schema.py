"""JSON Schemas that callers write: taken within bounds, and held against values in linear time.

Draft 2020-12. A schema refers to nothing outside itself, so holding it against a value opens no connection and no file;
its patterns are matched without backtracking, so neither a pattern nor a value makes that long.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jsonschema_rs

_MOST_PROBLEMS: Final = 10
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class SchemaRefused(Exception):
    """What was given is no schema of this dialect, or one that refers to something outside itself."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """Where a value does not fit (a JSON pointer into it), and why."""

    pointer: str
    detail: str


class JsonSchema:
    """A schema, compiled once."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises SchemaRefused."""
        _require_own(schema)
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                dict(schema), pattern_options=jsonschema_rs.RegexOptions(size_limit=2**20, dfa_size_limit=2**20)
            )
        except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            raise SchemaRefused(str(error).split("\n", 1)[0][:300]) from error

    def problems(self, value: Any) -> list[SchemaProblem]:
        """Why `value` does not fit, the first of them; none when it does."""
        found = []
        for error in self._validator.iter_errors(value):
            pointer = "".join(f"/{_escaped(part)}" for part in error.instance_path)
            found.append(SchemaProblem(pointer, error.message[:300]))
            if len(found) == _MOST_PROBLEMS:
                break
        return found


def _require_own(schema: Mapping[str, Any]) -> None:
    """Raises SchemaRefused for another dialect, and for a reference out of the schema."""
    if schema.get("$schema", _DIALECT) not in (_DIALECT, _DIALECT + "#"):
        raise SchemaRefused(f"$schema has to be {_DIALECT}, or to be left out")
    for name, value in _members(schema):
        if name in ("$ref", "$dynamicRef") and not str(value).startswith("#"):
            raise SchemaRefused(f"{name} may only refer to a place in the schema itself")
        if name in ("$id", "$vocabulary"):
            raise SchemaRefused(f"{name} is not taken: a schema stands for itself")


def _members(root: Any) -> Iterator[tuple[str, Any]]:
    """All members of all objects within `root`, without recursion."""
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
