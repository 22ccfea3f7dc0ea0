"""What replicas and the node say to each other: one call of a port a message, its arguments and what came of it.

A message is a frame as Edge's process has it: a JSON list and the vectors' numbers. What a port says that it raises is
an answer too, so that it is here what it was there; anything else that goes wrong is a problem, as of any service.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, get_type_hints

import orjson

from services.vectors.adapters.edge_protocol import HEADER_BYTES, encode, lengths
from services.vectors.adapters.node_values import Floats, Kind, kind_of
from services.vectors.domain import MAX_ANSWER_BYTES, EngineName
from services.vectors.errors import AnswerTooLarge, CollectionFull, CollectionMissing
from services.vectors.ports import Catalogue, VectorEngine
from shared.errors import StorageFull, Unavailable, UpstreamTimeout

NODE: Final = "faiss"
"""The node's name: as a process, in its certificate, and where it is spoken of."""
CATALOGUE: Final = "catalogue"
PORTS: Final[Mapping[str, type]] = {CATALOGUE: Catalogue, **{name.value: VectorEngine for name in EngineName}}
"""What a call can be made of, by its name in the path."""
MAX_MIB: Final = 64  # a body of 32 MiB that came as JSON, its numbers as 32 bits
MEDIA_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Form:
    """How the arguments and the result of one method are written."""

    arguments: Mapping[str, Kind]
    result: Kind


@cache
def form_of(place: str, method: str) -> Form:
    """By the signature in the port. Raises KeyError for a place, AttributeError for a method that there is none of."""
    function = getattr(PORTS[place], method)
    hints = get_type_hints(function)
    names = list(inspect.signature(function).parameters)[1:]
    return Form({name: kind_of(hints[name]) for name in names}, kind_of(hints["return"]))


def written(kinds: Mapping[str, Kind], values: Mapping[str, Any]) -> bytes:
    """The arguments of a call as a message."""
    floats = Floats()
    parts = [kind.write(values[name], floats) for name, kind in kinds.items()]
    return _frame(parts, floats)


def read(kinds: Mapping[str, Kind], message: bytes) -> tuple[dict[str, Any], Floats]:
    """The arguments of a call, and the numbers that were in them. Raises ValueError for what is no such message."""
    parts, floats = _unframed(message)
    try:
        if len(parts) != len(kinds):
            raise ValueError("another number of arguments")
        return {name: kind.read(part, floats) for (name, kind), part in zip(kinds.items(), parts, strict=True)}, floats
    except (KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError("not what the method takes") from error


def returned(kind: Kind, result: Any) -> bytes:
    """The message of a call that was carried out."""
    floats = Floats()
    return _frame(["ok", kind.write(result, floats)], floats)


def raised(error: Exception) -> bytes | None:
    """The message of a call that raised what its port says it may; None for anything else."""
    for name, told in _TOLD.items():
        if isinstance(error, told.kind):
            return _frame([name, *told.say(error)], Floats())
    return None


def result_of(kind: Kind, message: bytes) -> Any:
    """What the call returned. Raises what it raised there, and ValueError for what is no such message."""
    parts, floats = _unframed(message)
    name, *said = parts
    if name != "ok":
        raise _TOLD[name].make(*said)
    return kind.read(said[0], floats)


@dataclass(frozen=True, slots=True)
class _Told:
    kind: type[Exception]
    say: Callable[[Any], list[str]]
    make: Callable[..., Exception]


# The first that fits says it, so what is a special case of another stands before it.
_TOLD: Final = {
    "missing": _Told(CollectionMissing, lambda _: [], CollectionMissing),
    "full": _Told(CollectionFull, lambda error: [error.engine, error.limit], CollectionFull),
    "large": _Told(AnswerTooLarge, lambda _: [], lambda: AnswerTooLarge(MAX_ANSWER_BYTES)),
    "no_room": _Told(StorageFull, lambda error: [error.component], StorageFull),
    "away": _Told(
        Unavailable,
        lambda error: [error.component, error.detail],
        lambda component, detail: Unavailable(component, detail=detail),
    ),
    "late": _Told(UpstreamTimeout, lambda error: [error.component], UpstreamTimeout),
}


def _frame(parts: list[Any], floats: Floats) -> bytes:
    return encode({"parts": parts}, floats.blob)


def _unframed(message: bytes) -> tuple[list[Any], Floats]:
    if len(message) < HEADER_BYTES:
        raise ValueError("shorter than any message")
    body, blob = lengths(message[:HEADER_BYTES])
    if len(message) != HEADER_BYTES + body + blob:
        raise ValueError("longer or shorter than it says")
    content = orjson.loads(message[HEADER_BYTES : HEADER_BYTES + body])
    if not (isinstance(content, dict) and isinstance(content.get("parts"), list)):
        raise ValueError("no list where there should be one")  # noqa: TRY004 - as all that is wrong with a message
    return content["parts"], Floats(message[HEADER_BYTES + body :])
