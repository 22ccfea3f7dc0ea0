"""A schema of a caller's, compiled, and held against values.

Draft 2020-12. A schema refers to nothing outside itself, so holding it against a value opens no connection and no file.
Its patterns are matched without backtracking. How often it visits each part of a value is bounded beforehand
(`bounds.py`), and with the size of the value so is the work: it is done on the event loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jsonschema_rs

from shared.json_schema.bounds import OutOfBounds, parts_of, work_of

_MOST_PROBLEMS: Final = 10
_MOST_LEVELS: Final = 100
# Visits of parts of a value. One that finds nothing takes some 20 ns; a complaint that is told of takes 10 us, and all
# of them are made before the first is told.
_MOST_VISITS: Final = 20_000_000
_MOST_COMPLAINTS: Final = 50_000
# Of one pattern, compiled, and of all together: a MiB takes 10 ms, and 16 KiB have room for five hundred.
_MOST_PATTERN_BYTES: Final = 2**20
_MOST_PATTERNS_BYTES: Final = 16 * 2**20


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
        try:
            self._work = work_of(schema)
            most = min(_MOST_PATTERN_BYTES, _MOST_PATTERNS_BYTES // max(1, self._work.patterns))
            self._validator = jsonschema_rs.Draft202012Validator(
                dict(schema), pattern_options=jsonschema_rs.RegexOptions(size_limit=most, dfa_size_limit=2**20)
            )
        except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, OutOfBounds) as error:
            raise SchemaRefused(str(error).split("\n", 1)[0][:300]) from error

    def problems(self, value: Any) -> list[SchemaProblem]:
        """Why `value` does not fit, the first of them; none when it does.

        A value that is too deep or too large does not fit. A large one is not told where it does not.
        """
        try:
            parts = parts_of(value, _MOST_LEVELS)
        except OutOfBounds as error:
            return [SchemaProblem("", str(error))]
        if parts * self._work.cost > _MOST_VISITS:
            return [SchemaProblem("", "it is too large to be held against this schema")]
        if self._validator.is_valid(value):
            return []
        if parts * self._work.complaints > _MOST_COMPLAINTS:
            return [SchemaProblem("", "it does not fit the schema, and is too large to say where")]
        return self._told(value)

    def _told(self, value: Any) -> list[SchemaProblem]:
        found = []
        for error in self._validator.iter_errors(value):
            pointer = "".join(f"/{_escaped(part)}" for part in error.instance_path)
            found.append(SchemaProblem(pointer, error.message[:300]))
            if len(found) == _MOST_PROBLEMS:
                break
        return found


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
