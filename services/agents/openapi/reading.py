"""Reads an operation of a document into a tool as a caller would define it.

What a call needs and a tool cannot say is refused by its place in the document. What a call may do without, such as a
parameter that is not required, is left out, and told.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.agents.openapi.credentials import headers_of
from services.agents.openapi.domain import Inexpressible, Node
from services.agents.openapi.shapes import Shapes

METHODS: Final = ("get", "post", "put", "patch", "delete")
_VERSION: Final = re.compile(r"3\.[01]\.\d+")
_ARGUMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_LONGEST_DESCRIPTION: Final = 1024
_LONGEST_OF_A_PARAMETER: Final = 300
_SAID_BY_OTHERS: Final = frozenset({"accept", "content-type", "authorization"})
"""Header parameters of these names mean nothing, as OpenAPI has it."""
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One of a document."""

    method: str
    path: str
    item: Node
    node: Node


@dataclass(slots=True)
class Draft:
    """A tool in the making."""

    properties: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: list[str] | None = None
    left_out: list[str] = field(default_factory=list)

    def add(self, name: str, schema: Any, node: Node, *, is_required: bool) -> None:
        """An argument. Raises Inexpressible for a name that is there already, or that no argument has."""
        if not _ARGUMENT.fullmatch(name):
            node.refuse("argument_name", f"An argument has a name of letters, digits, _ and -, not {name[:64]!r}.")
        if name in self.properties:
            node.refuse("argument_twice", f"There is another argument of the name {name!r}.")
        self.properties[name] = schema
        if is_required:
            self.required.append(name)

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema of the arguments."""
        return {
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": False,
        }


def require_version(root: Mapping[str, Any]) -> None:
    """Raises Inexpressible for what is no OpenAPI of a version that is read here."""
    version = root.get("openapi")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise Inexpressible("/openapi", "document_invalid", "The document is of OpenAPI 3.0 or 3.1.")


def operations_of(root: Mapping[str, Any], wanted: set[str]) -> dict[str, Operation]:
    """Those that are there, by their ids. Raises Inexpressible for an id that two have."""
    found: dict[str, Operation] = {}
    for path, item in Node(root, "", root).child("paths").members():
        for method in METHODS if isinstance(item.value, dict) else ():
            if method not in item.value:
                continue
            node = item.child(method)
            name = node.text("operationId")
            if name not in wanted or name is None:
                continue
            if name in found:
                node.refuse("operation_twice", f"There is another operation of the id {name!r}.")
            found[name] = Operation(method, path, item, node)
    return found


def drafted(operation: Operation, secrets: Mapping[str, str]) -> Draft:
    """All but the address. `secrets` are the names of secrets by the security schemes they are for.

    Raises Inexpressible.
    """
    draft, shapes = Draft(), Shapes()
    for node in _parameters(operation):
        _add_parameter(draft, shapes, node)
    _require_placeholders(operation, draft)
    _add_body(draft, shapes, operation)
    for name, text in headers_of(operation.node, secrets).items():
        if name.lower() in {header.lower() for header in draft.headers}:
            operation.node.refuse("header_twice", f"There is another header {name[:64]!r}.")
        draft.headers[name] = text
    return draft


def described(operation: Operation) -> str:
    """What the model is told."""
    said = [operation.node.text("summary"), operation.node.text("description")]
    text = "\n".join(part.strip() for part in said if part and part.strip())
    return text[:_LONGEST_DESCRIPTION] or f"{operation.method.upper()} {operation.path}"[:_LONGEST_DESCRIPTION]


def _parameters(operation: Operation) -> list[Node]:
    """Those of the operation, and of its path where the operation has none of that name and place."""
    found = {}
    for holder in (operation.item, operation.node):
        for node in holder.child("parameters").items():
            node.object()
            found[node.text("in"), node.text("name")] = node
    return list(found.values())


def _add_parameter(draft: Draft, shapes: Shapes, node: Node) -> None:
    name, place = node.text("name") or "", node.text("in") or ""
    if place == "header" and name.lower() in _SAID_BY_OTHERS:
        return
    is_required = place == "path" or node.child("required").value is True
    try:
        match place:
            case "path" | "query":
                draft.add(name, _argument(shapes, node, place), node, is_required=is_required)
            case "header":
                draft.headers[name] = _fixed(node)
            case _:
                node.refuse("parameter_place", f"A tool sends no parameter in {place[:32] or 'nothing'!r}.")
    except Inexpressible:
        if is_required:
            raise
        draft.left_out.append(f"{place} {name}"[:128])


def _argument(shapes: Shapes, node: Node, place: str) -> Any:
    """The schema of a parameter that a URL holds as tools write it."""
    style = "simple" if place == "path" else "form"
    if node.child("style").value not in (None, style) or node.child("allowReserved").value is True:
        node.refuse("parameter_style", f"A tool writes a parameter of the {place} in the style {style!r} only.")
    if not isinstance(node.child("schema").value, dict | bool):
        node.refuse("parameter_content", "A parameter has a schema; other content cannot be sent.")
    schema = shapes.converted(node.child("schema"))
    kinds = _kinds(schema)
    if "object" in kinds or ("array" in kinds and (place == "path" or node.child("explode").value is False)):
        node.refuse("parameter_style", f"A tool writes no {'/'.join(sorted(kinds))} into a {place} in this style.")
    text = node.text("description")
    if text and isinstance(schema, dict) and "description" not in schema:
        schema |= {"description": text[:_LONGEST_OF_A_PARAMETER]}
    return schema


def _kinds(schema: Any) -> set[str]:
    """What a value may be, as far as the schema says so itself."""
    if not isinstance(schema, dict):
        return set()
    kinds = schema.get("type", "object" if "properties" in schema else [])
    return {kinds} if isinstance(kinds, str) else {kind for kind in kinds if isinstance(kind, str)}


def _fixed(node: Node) -> str:
    """The only value that a header may have. Raises Inexpressible where there are several."""
    schema = node.child("schema")
    one = schema.child("const").value
    only = schema.child("enum").value
    found = only[0] if one is None and isinstance(only, list) and len(only) == 1 else one
    if not isinstance(found, str) or "${" in found:
        node.refuse("header_parameter", "A tool sends no argument in a header, but for one that has a single value.")
    return found


def _require_placeholders(operation: Operation, draft: Draft) -> None:
    """Each of the path has its parameter, and the path is nothing but a path."""
    if not operation.path.startswith("/") or set("?#") & set(operation.path):
        operation.item.refuse("path_invalid", "A path begins with / and has neither ? nor #.")
    wanted = _PLACEHOLDER.findall(operation.path)
    in_path = {node.text("name") for node in _parameters(operation) if node.text("in") == "path"}
    for name in wanted:
        if name not in draft.properties or name not in in_path:
            operation.item.refuse("parameter_missing", f"The path has {name[:64]!r}, and there is no such parameter.")
    for name in sorted(in_path - set(wanted), key=str):
        operation.item.refuse("parameter_unused", f"The path does not have the parameter {str(name)[:64]!r}.")


def _add_body(draft: Draft, shapes: Shapes, operation: Operation) -> None:
    """The members of a JSON object are arguments; a method that has a body gets none but these."""
    if operation.method in ("post", "put", "patch"):
        draft.body = []
    node = operation.node.child("requestBody")
    if node.value is None:
        return
    is_required = node.child("required").value is True
    before = dict(draft.properties), list(draft.required)
    try:
        members = _members(shapes, node)
        needed = set(members.get("required", ())) if is_required else set()
        for name, schema in members["properties"].items():
            draft.add(name, schema, node, is_required=name in needed)
        draft.body = list(members["properties"])
    except Inexpressible:
        if is_required:
            raise
        draft.properties, draft.required = before
        draft.left_out.append("body")


def _members(shapes: Shapes, node: Node) -> dict[str, Any]:
    """The schema of a body that is an object with known members."""
    content = node.child("content")
    kinds = [kind for kind, _ in content.members() if kind.partition(";")[0].strip().lower() == _JSON]
    if not kinds:
        content.refuse("body_media_type", f"A tool sends {_JSON}, and nothing else.")
    place = content.child(kinds[0]).child("schema")
    schema = shapes.converted(place)
    if not isinstance(schema, dict) or _kinds(schema) != {"object"} or not isinstance(schema.get("properties"), dict):
        place.refuse("body_no_object", "The body of a tool is an object with `properties`.")
    if combined := sorted({"allOf", "anyOf", "oneOf", "if", "patternProperties"} & schema.keys()):
        place.refuse("body_combined", f"The body of a tool is one object, without {combined[0]!r}.")
    return schema
