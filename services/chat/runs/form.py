"""The form that an answer is to have, held against what the model wrote."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared.json_schema import JsonSchema

_MOST_PROBLEMS_TOLD = 5


class Form:
    """A JSON Schema of the caller's."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises SchemaRefused."""
        self._text = orjson.dumps(schema).decode()
        self._schema = JsonSchema(schema)

    def problem_of(self, answer: str) -> str | None:
        """Why `answer` is no JSON text of this form; None when it is."""
        try:
            value = orjson.loads(answer)
        except ValueError:
            return "The answer is no JSON."
        problems = self._schema.problems(value)[:_MOST_PROBLEMS_TOLD]
        return "; ".join(f"{one.pointer or '/'}: {one.detail}" for one in problems) or None

    def request(self, problem: str) -> str:
        """What the model is told for its second try; the schema too, which its provider may not have shown it."""
        return (
            f"Your answer does not have the form that was asked for. {problem}\n\n"
            f"Answer again with nothing but JSON that fits this JSON Schema:\n{self._text}"
        )
