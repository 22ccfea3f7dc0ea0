"""What differs between two OpenAPI documents, and whether it breaks who was written for the first.

A client breaks when something goes that it may use (an operation, a status, a member of an answer), when something is
demanded that it does not send, or when what it sends is taken no longer. What is new and optional breaks nobody.
"""

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Document = Mapping[str, Any]
_METHODS: Final = ("get", "head", "put", "post", "patch", "delete")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_SHAPE: Final = ("type", "format", "pattern", "const", "additionalProperties")


@dataclass(frozen=True, order=True)
class Change:
    """One difference, by its place."""

    place: str
    what: str
    breaks: bool

    def __str__(self) -> str:
        return f"{'breaks: ' if self.breaks else 'adds:   '}{self.place}: {self.what}"


def differences(old: Document, new: Document) -> list[Change]:
    """Every change for a caller. Texts, examples and the order of members are none."""
    return sorted(set(_Comparison(old, new).changes()))


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = old, new

    def changes(self) -> Iterator[Change]:
        before, after = _operations(self._old), _operations(self._new)
        yield from (Change(name, "operation is gone", breaks=True) for name in before.keys() - after.keys())
        yield from (Change(name, "operation is new", breaks=False) for name in after.keys() - before.keys())
        for name in before.keys() & after.keys():
            yield from self._operation(name, before[name], after[name])

    def _operation(self, place: str, old: Document, new: Document) -> Iterator[Change]:
        if old["operationId"] != new["operationId"]:
            yield Change(place, f"operationId {old['operationId']} is {new['operationId']}", breaks=True)
        if _scopes(old) != _scopes(new):
            yield Change(place, f"needs {_scopes(new)}, before {_scopes(old)}", breaks=True)
        yield from self._parameters(place, old, new)
        yield from self._bodies(place, old.get("requestBody", {}), new.get("requestBody", {}))
        for status in old["responses"].keys() | new["responses"].keys():
            yield from self._answer(f"{place} {status}", old["responses"].get(status), new["responses"].get(status))

    def _parameters(self, place: str, old: Document, new: Document) -> Iterator[Change]:
        before, after = ({(p["in"], p["name"]): p for p in one.get("parameters", [])} for one in (old, new))
        for key in before.keys() | after.keys():
            where, now, was = f"{place} {' '.join(key)}", after.get(key), before.get(key)
            if now is None:
                yield Change(where, "is taken no longer", breaks=True)
            elif was is None:
                yield Change(where, "is new", breaks=bool(now.get("required")))
            else:
                if now.get("required") and not was.get("required"):
                    yield Change(where, "is required", breaks=True)
                yield from self._schema(where, was["schema"], now["schema"], is_sent=True)

    def _bodies(self, place: str, old: Document, new: Document) -> Iterator[Change]:
        if new.get("required") and not old.get("required"):
            yield Change(f"{place} body", "is required", breaks=True)
        yield from self._contents(f"{place} body", old.get("content", {}), new.get("content", {}), is_sent=True)

    def _answer(self, place: str, old: Document | None, new: Document | None) -> Iterator[Change]:
        if old is None or new is None:
            # Whoever is ready for an error is ready for another; a success that is new is not looked for.
            is_success = place.rpartition(" ")[2][0] in "23"
            yield Change(place, "is new" if old is None else "is gone", breaks=is_success and new is None)
            return
        gone = old.get("headers", {}).keys() - new.get("headers", {}).keys()
        yield from (Change(f"{place} header {name}", "is gone", breaks=True) for name in gone)
        yield from self._contents(place, old.get("content", {}), new.get("content", {}), is_sent=False)

    def _contents(self, place: str, old: Document, new: Document, *, is_sent: bool) -> Iterator[Change]:
        yield from (Change(f"{place} {kind}", "is gone", breaks=True) for kind in old.keys() - new.keys())
        yield from (Change(f"{place} {kind}", "is new", breaks=False) for kind in new.keys() - old.keys())
        for kind in old.keys() & new.keys():
            yield from self._schema(place, old[kind].get("schema", {}), new[kind].get("schema", {}), is_sent=is_sent)

    def _schema(
        self, place: str, old: Document, new: Document, *, is_sent: bool, seen: frozenset[Any] = frozenset()
    ) -> Iterator[Change]:
        pair = (old.get("$ref"), new.get("$ref"))
        if pair in seen:
            return
        seen = seen | ({pair} if any(pair) else set())
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        yield from _bounds(place, old, new, is_sent=is_sent)
        yield from _required(place, old, new, is_sent=is_sent)
        before, after = old.get("properties", {}), new.get("properties", {})
        yield from (Change(f"{place}.{name}", "is gone", breaks=True) for name in before.keys() - after.keys())
        yield from (
            Change(f"{place}.{name}", "is new", breaks=is_sent and name in new.get("required", ()))
            for name in after.keys() - before.keys()
        )
        for name in before.keys() & after.keys():
            yield from self._schema(f"{place}.{name}", before[name], after[name], is_sent=is_sent, seen=seen)
        if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
            yield from self._schema(f"{place}[]", old["items"], new["items"], is_sent=is_sent, seen=seen)
        for choice in ("anyOf", "oneOf", "allOf"):
            ours, theirs = old.get(choice, []), new.get(choice, [])
            if len(ours) != len(theirs):
                fewer = len(theirs) < len(ours)
                yield Change(place, f"has {len(theirs)} forms, before {len(ours)}", breaks=fewer is is_sent)
            for was, now in zip(ours, theirs, strict=False):
                yield from self._schema(place, was, now, is_sent=is_sent, seen=seen)


def _bounds(place: str, old: Document, new: Document, *, is_sent: bool) -> Iterator[Change]:
    for name in _SHAPE:
        if old.get(name) != new.get(name):
            yield Change(place, f"{name} is {new.get(name)}, before {old.get(name)}", breaks=True)
    before, after = set(map(str, old.get("enum", ()))), set(map(str, new.get("enum", ())))
    if before != after:
        told = f"may be {sorted(after)}, before {sorted(before)}"
        yield Change(place, told, breaks=bool(before - after) if is_sent else False)
    for names, is_tighter in ((_UPPER, operator.gt), (_LOWER, operator.lt)):
        for name in names:
            was, now = old.get(name), new.get(name)
            if was != now:
                tighter = now is not None and (was is None or is_tighter(was, now))
                yield Change(place, f"{name} is {now}, before {was}", breaks=is_sent and tighter)


def _required(place: str, old: Document, new: Document, *, is_sent: bool) -> Iterator[Change]:
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    known = old.get("properties", {}).keys() & new.get("properties", {}).keys()
    yield from (Change(f"{place}.{name}", "is required", breaks=is_sent) for name in (after - before) & known)
    yield from (Change(f"{place}.{name}", "may be left out", breaks=not is_sent) for name in (before - after) & known)


def _operations(document: Document) -> dict[str, Document]:
    return {
        f"{method.upper()} {path}": item[method]
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    }


def _scopes(operation: Document) -> list[str]:
    return sorted({scope for one in operation.get("security", []) for found in one.values() for scope in found})


def _resolved(document: Document, schema: Document) -> Document:
    while reference := schema.get("$ref"):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        schema = node
    return schema
