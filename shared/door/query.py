"""What the query of a request may name: what the route knows, once each.

A filter that is misspelt and ignored answers what nobody asked for, with a 200.
"""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant

from shared.errors import FieldProblem, Invalid

_MAX_NAMED = 20
_LONGEST_NAME = 64


class KnownQuery:
    """The parameters of one route that a query may give."""

    def __init__(self, dependant: Dependant) -> None:
        self._names = frozenset(_names(dependant))

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
            elif name in seen:
                problems.append(_problem(name, "query_repeated", "must not be given more than once"))
            seen.add(name)
            if len(problems) == _MAX_NAMED:
                break
        raise Invalid(errors=problems)


def _problem(name: str, code: str, detail: str) -> FieldProblem:
    return FieldProblem(pointer=f"query/{name[:_LONGEST_NAME]}", code=code, detail=detail)


def _names(dependant: Dependant) -> Iterator[str]:
    """Of the endpoint and of all that it depends on."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names(inner)
