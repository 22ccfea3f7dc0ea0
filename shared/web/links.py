"""Links in a document: from what makes a thing to every operation on that thing, found by their paths.

By them a client, and whoever tests, goes on with the id of an answer. What a route has declared itself stays.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_MADE: Final = ("201", "202", "200")
_MAKES: Final = frozenset({"post", "put"})
_METHODS: Final = frozenset({"get", "head", "put", "post", "delete", "patch"})
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


def declare_links(document: dict[str, Any]) -> None:
    """Add to each operation that makes a thing the links that its paths and its answer tell."""
    paths: Mapping[str, Any] = document.get("paths", {})
    for path, item in paths.items():
        for method, operation in item.items():
            if method in _MAKES:
                _link(operation, path, paths, document)


def _link(operation: dict[str, Any], path: str, paths: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    status = next((status for status in _MADE if status in operation["responses"]), None)
    if status is None:
        return
    answer = operation["responses"][status]
    members = _members(answer, document)
    found = {
        name: {"operationId": name, "parameters": parameters}
        for name, parameters in _operations_on_it(path, paths, members)
        if name != operation["operationId"]
    }
    linked = {one.get("operationId") for one in answer.get("links", {}).values()}
    if new := {name: link for name, link in found.items() if name not in linked}:
        answer["links"] = {**answer.get("links", {}), **new}


def _members(answer: Mapping[str, Any], document: Mapping[str, Any]) -> frozenset[str]:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    if reference := schema.get("$ref"):
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    return frozenset(schema.get("properties", ()))


def _operations_on_it(
    path: str, paths: Mapping[str, Any], members: frozenset[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Those of the very path where it is the thing's own; else those below it, or else beside it.

    So `/agents/create` makes what is found below `/agents`.
    """
    own = _PARAMETER.findall(path)
    asked = {name: f"$request.path.{name}" for name in own}
    if own and path.endswith("}"):
        yield from ((operation["operationId"], asked) for operation in _operations(paths[path]))
        return
    for base in (path, path.rpartition("/")[0]):
        below = [(other, re.fullmatch(rf"{re.escape(base)}/\{{(\w+)\}}(/[\w-]+)*", other)) for other in paths]
        things = [(other, match[1]) for other, match in below if match and match[1] not in own]
        for other, parameter in things:
            if (member := _member_for(parameter, members)) is None:
                continue
            given = asked | {parameter: f"$response.body#/{member}"}
            yield from ((operation["operationId"], given) for operation in _operations(paths[other]))
        if things:
            return


def _operations(item: Mapping[str, Any]) -> list[Any]:
    return [operation for method, operation in item.items() if method in _METHODS]


def _member_for(parameter: str, members: frozenset[str]) -> str | None:
    if parameter in members:
        return parameter
    return "id" if parameter.endswith("_id") and "id" in members else None
