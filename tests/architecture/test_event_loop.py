"""Nothing of a request runs in a thread: FastAPI would send every plain function there and wait for it to come back."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from shared.web import routes_of
from tests.architecture.apps import APPS, app_of


def calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    """The endpoint and everything it depends on; classes are left out, which only gather what was validated."""
    if dependant.call and not inspect.isclass(dependant.call):
        yield dependant.call
    for part in dependant.dependencies:
        yield from calls(part)


@pytest.mark.parametrize("app", APPS)
def test_endpoints_and_dependencies_are_coroutines(app: str) -> None:
    routes = list(iter_route_contexts(routes_of(app_of(app))))
    found = [call for route in routes if isinstance(route.original_route, APIRoute) for call in calls(route.dependant)]

    assert len(found) > 2
    assert [
        call.__qualname__
        for call in found
        if not (inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call))
    ] == []
