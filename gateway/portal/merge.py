"""Makes one OpenAPI document of several, without changing what any of them says.

Components that several documents define alike are shared. Where two documents mean different things by one name, each
keeps its own under `<document>_<name>`, and so does everything that leads to it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Document = dict[str, Any]
Key = tuple[str, str]
"""A component: its section (`schemas`) and its name there."""

_PREFIX: Final = "#/components/"


def merge(documents: Mapping[str, Document], info: Mapping[str, Any]) -> Document:
    """One document over all `documents` (name → document); the first to define a path keeps its operations."""
    ambiguous = _ambiguous(documents)
    merged: Document = {"openapi": "3.1.0", "info": dict(info), "tags": [], "paths": {}, "components": {}}
    if servers := next((one["servers"] for one in documents.values() if "servers" in one), None):
        merged["servers"] = servers
    for name, document in documents.items():
        _add(merged, _renamed(document, {key: f"{name}_{key[1]}" for key in ambiguous}))
    return merged


def _add(merged: Document, document: Document) -> None:
    for path, item in document["paths"].items():
        merged["paths"][path] = item | merged["paths"].get(path, {})
    for section, name, definition in _components(document):
        merged["components"].setdefault(section, {}).setdefault(name, definition)
    known = {tag["name"] for tag in merged["tags"]}
    merged["tags"] += [tag for tag in _tags(document) if tag["name"] not in known]


def _tags(document: Document) -> list[dict[str, Any]]:
    """The declared tags, then those that operations merely use, in order."""
    declared = {tag["name"]: tag for tag in document.get("tags", [])}
    operations = (operation for item in document["paths"].values() for operation in item.values())
    used = (tag for operation in operations if isinstance(operation, dict) for tag in operation.get("tags", []))
    return list(declared.values()) + [{"name": name} for name in dict.fromkeys(used) if name not in declared]


def _components(document: Document) -> Iterator[tuple[str, str, Any]]:
    for section, entries in document.get("components", {}).items():
        for name, definition in entries.items():
            yield section, name, definition


def _ambiguous(documents: Mapping[str, Document]) -> set[Key]:
    """The components that mean different things in different documents, by themselves or by what they refer to."""
    definitions: dict[Key, list[Any]] = {}
    for document in documents.values():
        for section, name, definition in _components(document):
            definitions.setdefault((section, name), []).append(definition)
    shared = {key: found for key, found in definitions.items() if len(found) > 1}
    ambiguous = {key for key, found in shared.items() if any(other != found[0] for other in found)}
    while spread := {key for key, found in shared.items() if key not in ambiguous and ambiguous & set(_refs(found))}:
        ambiguous |= spread
    return ambiguous


def _refs(node: Any) -> Iterable[Key]:
    """Every component that `node` refers to: by `$ref`, or by a discriminator's mapping."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)
    elif isinstance(node, str) and (key := _key(node)):
        yield key


def _key(reference: str) -> Key | None:
    if not reference.startswith(_PREFIX):
        return None
    section, _, name = reference.removeprefix(_PREFIX).partition("/")
    return section, name


def _renamed(document: Document, names: Mapping[Key, str]) -> Document:
    """`document` with its components, the references to them and the names of security schemes changed."""
    if not names:
        return document
    renamed: Document = _with_references(document, names)
    renamed["components"] = {
        section: {names.get((section, name), name): definition for name, definition in entries.items()}
        for section, entries in renamed.get("components", {}).items()
    }
    for item in renamed["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict) and "security" in operation:
                operation["security"] = [_security(requirement, names) for requirement in operation["security"]]
    return renamed


def _security(requirement: Mapping[str, Any], names: Mapping[Key, str]) -> dict[str, Any]:
    return {names.get(("securitySchemes", name), name): scopes for name, scopes in requirement.items()}


def _with_references(node: Any, names: Mapping[Key, str]) -> Any:
    """A copy of `node` in which every reference leads to the component's new name."""
    if isinstance(node, dict):
        return {key: _with_references(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_references(value, names) for value in node]
    if isinstance(node, str) and (key := _key(node)) in names:
        return f"{_PREFIX}{key[0]}/{names[key]}"  # type: ignore[index] # a key that is in `names` is no None
    return node
