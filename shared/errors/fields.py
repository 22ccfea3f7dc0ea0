"""The bad fields of a refused request, as JSON pointers."""

from collections.abc import Iterable
from typing import Any

from shared.errors.problem import FieldProblem

_MAX_FIELD_PROBLEMS = 20  # a body of a thousand bad items needs no thousand explanations


def field_problems(errors: Iterable[Any]) -> list[FieldProblem]:
    """Pydantic's errors as JSON pointers; the refused input itself is never echoed (it may be a password)."""
    return [
        FieldProblem(pointer=_pointer(error["loc"]), code=error["type"], detail=error["msg"])
        for error in list(errors)[:_MAX_FIELD_PROBLEMS]
    ]


def _pointer(location: tuple[str | int, ...]) -> str:
    place, *path = location or ("body",)
    if place == "body":
        # A malformed body is located by its byte offset, which is no member of the document.
        members = [] if len(path) == 1 and isinstance(path[0], int) else path
        return "".join(f"/{_escaped(str(member))}" for member in members)
    return "/".join([str(place), *map(str, path)])


def _escaped(member: str) -> str:
    return member.replace("~", "~0").replace("/", "~1")
