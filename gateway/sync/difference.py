"""What a Kong has and what the file says, entity by entity.

Kong shows an entity with all its fields, the file those that differ from Kong's own values: only what the file says is
compared. Entities go by kind and name, as the file names them; ids are Kong's business.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

Fields = dict[str, Any]
Entities = dict[tuple[str, str], Fields]
_OF_KONG: Final = frozenset({"workspaces", "parameters", "clustering_data_planes"})
_KINDS: Final = ("services", "routes", "plugins")
_SCOPES: Final = ("service", "route", "consumer", "consumer_group")
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """Lines to show: what would change, and what is there that the file knows nothing of."""

    changes: list[str]
    foreign: list[str]


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> Difference:
    """From what runs (`theirs`) to the file (`ours`)."""
    wanted, running = dict(_nested(ours)), dict(_flat(theirs))
    changes = [f"+ {kind} {name}" for kind, name in wanted if (kind, name) not in running]
    foreign = [f"{key} {_name(one)}" for key, found in theirs.items() if _is_foreign(key) for one in found or []]
    for (kind, name), fields in running.items():
        if (kind, name) in wanted:
            changes += [f"~ {kind} {name}: {line}" for line in _differing("", wanted[kind, name], fields)]
        elif _belongs_to(fields, wanted, running):
            changes.append(f"- {kind} {name}")
        else:
            foreign.append(f"{kind} {name}")
    return Difference(changes, foreign)


def _is_foreign(key: str) -> bool:
    return not key.startswith("_") and key not in {*_KINDS, *_OF_KONG}


def _belongs_to(fields: Fields, wanted: Entities, running: Entities) -> bool:
    """Whether it hangs on a service of ours; what hangs on nothing, or on a consumer as well, may be anybody's."""
    if "consumer" in fields or "consumer_group" in fields:
        return False
    holder = running.get(("route", fields.get("route", "")), fields)
    return ("service", holder.get("service", "")) in wanted


def _nested(document: dict[str, Any]) -> Iterator[tuple[tuple[str, str], Fields]]:
    """The entities of the file, where routes stand in their services and plugins in their routes."""
    for plugin in document.get("plugins") or []:
        yield ("plugin", plugin["name"]), plugin
    for service in document.get("services") or []:
        yield ("service", service["name"]), _without(service, "routes", "plugins")
        for plugin in service.get("plugins") or []:
            yield ("plugin", f"{plugin['name']} of service {service['name']}"), plugin
        for route in service.get("routes") or []:
            yield ("route", route["name"]), {**_without(route, "plugins"), "service": service["name"]}
            for plugin in route.get("plugins") or []:
                yield ("plugin", f"{plugin['name']} of route {route['name']}"), plugin


def _flat(document: dict[str, Any]) -> Iterator[tuple[tuple[str, str], Fields]]:
    """The entities of Kong's export, which name each other by id."""
    names = {
        one["id"]: _name(one) for found in document.values() if isinstance(found, list) for one in found if "id" in one
    }
    for key in _KINDS:
        for one in document.get(key) or []:
            scopes = {scope: names.get(_id(one[scope]), _id(one[scope])) for scope in _SCOPES if one.get(scope)}
            of = "".join(f" of {scope} {name}" for scope, name in scopes.items()) if key == "plugins" else ""
            yield (key.removesuffix("s"), _name(one) + of), {**_without(one, *_SCOPES), **scopes}


def _name(entity: Fields) -> str:
    """What it goes by."""
    return str(next((entity[key] for key in ("name", "username", "id") if entity.get(key)), "without a name"))


def _id(reference: Any) -> str:
    return str(reference["id"] if isinstance(reference, dict) else reference)


def _without(fields: Fields, *left_out: str) -> Fields:
    return {name: value for name, value in fields.items() if name not in left_out}


def _differing(place: str, ours: Any, theirs: Any) -> Iterator[str]:
    """A line for each value that the file says otherwise."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from _differing(f"{place}.{key}".lstrip("."), value, theirs.get(key))
    elif _comparable(ours) != _comparable(theirs):
        yield f"{place}: {_short(theirs)} -> {_short(ours)}"


def _comparable(value: Any) -> Any:
    """Kong keeps lists of words as sets in places: their order says nothing."""
    is_words = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return sorted(value) if is_words else value


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
