"""What a route hands to its endpoint itself: the caller that it let in, and what the lifespan opened.

FastAPI's dependencies could do both. Solving one takes it about as long as the door takes to let a caller in, so an
endpoint's parameters of these two kinds are taken out of its signature before FastAPI sees it.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fastapi.requests import HTTPConnection

from shared.door.demand import Demand, caller_of

_CONNECTION: Final = "connection_of_the_door"


@dataclass(frozen=True, slots=True)
class Held:
    """Marks a parameter: what the lifespan of the service yields by that name."""

    name: str


def held(name: str) -> Held:
    """`Agents = Annotated[AgentService, held("agents")]`: what the lifespan yields by that name."""
    return Held(name)


def handed(endpoint: Callable[..., Any]) -> tuple[Demand | None, Callable[..., Any]]:
    """What `endpoint` demands of its caller, and how FastAPI is to see it: with the connection in place of these.

    Raises TypeError for an endpoint that demands more than one caller.
    """
    signature = inspect.signature(endpoint, eval_str=True)
    demands = _marked(signature, Demand)
    names = {parameter: one.name for parameter, one in _marked(signature, Held).items()}
    if len(demands) > 1:
        raise TypeError(f"{endpoint!r} demands {len(demands)} callers")
    if not demands and not names:
        return None, endpoint
    caller = next(iter(demands), None)

    @functools.wraps(endpoint)
    async def seen(**values: Any) -> Any:
        connection = values.pop(_CONNECTION)
        if caller is not None:
            values[caller] = caller_of(connection)
        state = connection.scope["state"]
        for parameter, name in names.items():
            values[parameter] = state[name]
        return await endpoint(**values)

    left = [one for one in signature.parameters.values() if one.name not in demands and one.name not in names]
    connection = inspect.Parameter(_CONNECTION, inspect.Parameter.KEYWORD_ONLY, annotation=HTTPConnection)
    keyword_only = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in left]
    seen.__signature__ = signature.replace(parameters=[*keyword_only, connection])  # type: ignore[attr-defined]
    return next(iter(demands.values()), None), seen


def _marked(signature: inspect.Signature, kind: type[Any]) -> dict[str, Any]:
    """The marks of that kind, by parameter."""
    return {
        name: mark
        for name, parameter in signature.parameters.items()
        for mark in getattr(parameter.annotation, "__metadata__", ())
        if isinstance(mark, kind)
    }
