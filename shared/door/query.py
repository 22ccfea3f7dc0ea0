"""What the query of a request may name: what the route knows, once each unless it is a list.

A filter that is misspelt and ignored answers what nobody asked for, with a 200.
"""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant

from shared.errors import FieldProblem, Invalid

_MAX_NAMED = 20
_LONGEST_NAME = 64


class KnownQuery:
    """The parameters of one route that a query may give."""

    def __init__(self, dependant: Dependant) -> None:
        lists = dict(_parameters(dependant))
        self._names = frozenset(lists)
        self._lists = frozenset(name for name, is_list in lists.items() if is_list)

    def require(self, request: Request) -> None:
        """Raises Invalid, which names what is unknown and what stands there more than once."""
        given = [name for name, _ in request.query_params.multi_items()]
        if len(given) == len(self._names.intersection(given)):
            return
        seen = set[str]()
        problems = list[FieldProblem]()
        for name in given:
            if name not in self._names:
                problems.append(_problem(name, "query_unknown", "is no parameter of this operation"))
            elif name in seen and name not in self._lists:
                problems.append(_problem(name, "query_repeated", "must not be given more than once"))
            seen.add(name)
            if len(problems) == _MAX_NAMED:
                break
        if problems:
            raise Invalid(errors=problems)


def _problem(name: str, code: str, detail: str) -> FieldProblem:
    return FieldProblem(pointer=f"query/{name[:_LONGEST_NAME]}", code=code, detail=detail)


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Of the endpoint and of all that it depends on: the name, and whether several values are its list."""
    for parameter in dependant.query_params:
        yield parameter.alias, _is_list(parameter.field_info.annotation)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))
