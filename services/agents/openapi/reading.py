"""Reads an operation of a document into a tool as a caller would define it.

What a call needs and a tool cannot say is refused by its place in the document. What a call may do without, such as a
parameter that is not required, is left out, and told.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.agents.openapi.credentials import headers_of
from services.agents.openapi.domain import Document, Inexpressible, Node
from services.agents.openapi.shapes import Shapes

METHODS: Final = ("get", "post", "put", "patch", "delete")
_VERSION: Final = re.compile(r"3\.[01]\.\d+")
_ARGUMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_LONGEST_DESCRIPTION: Final = 1024
_LONGEST_OF_A_PARAMETER: Final = 300
_LONGEST_PATH: Final = 2_048
_LONGEST_MEDIA_TYPE: Final = 256
_MOST_PARAMETERS: Final = 200
_COMBINING: Final = ("allOf", "anyOf", "oneOf")
# What else stands there is held against the whole object, of which a tool's arguments are a part.
_OF_A_BODY: Final = frozenset(
    {"type", "properties", "required", "title", "description", "default", "format", "additionalProperties"}
)
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
    schemes: set[str] = field(default_factory=set)
    """Of security, for which its headers name secrets."""
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

    def send(self, name: str, text: str, node: Node) -> None:
        """A header. Raises Inexpressible for one that is there already; letter case makes no difference."""
        if name.lower() in {header.lower() for header in self.headers}:
            node.refuse("header_twice", f"There is another header {name[:64]!r}.")
        self.headers[name] = text

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


def operations_of(document: Document, wanted: set[str]) -> dict[str, Operation]:
    """Those that are there, by their ids. Raises Inexpressible for an id that two have.

    A path that cannot be read is in the way only where an operation is wanted that is at no other.
    """
    found: dict[str, Operation] = {}
    unread: Inexpressible | None = None
    paths = document.top.child("paths")
    for path in paths.value if isinstance(paths.value, dict) else ():
        try:
            here = [one for one in _of_path(paths, path) if one[0] in wanted]
        except Inexpressible as error:
            unread = unread or error
            continue
        for name, operation in here:
            if name in found:
                operation.node.refuse("operation_twice", f"There is another operation of the id {name!r}.")
            if len(path) > _LONGEST_PATH:
                document.top.refuse("path_invalid", f"A path has {_LONGEST_PATH:,} characters at most.")
            found[name] = operation
    if unread and wanted - found.keys():
        raise unread
    return found


def _of_path(paths: Node, path: str) -> Iterator[tuple[str, Operation]]:
    """With their ids, those that have one."""
    item = paths.child(path)
    for method in METHODS if isinstance(item.value, dict) else ():
        if method in item.value:
            node = item.child(method)
            name = node.text("operationId")
            if name is not None:
                yield name, Operation(method, path, item, node)


def drafted(operation: Operation, secrets: Mapping[str, str]) -> Draft:
    """All but the address. `secrets` are the names of secrets by the security schemes they are for.

    Raises Inexpressible.
    """
    draft, shapes = Draft(), Shapes()
    for node in _parameters(operation):
        _add_parameter(draft, shapes, node)
    _require_placeholders(operation, draft)
    _add_body(draft, shapes, operation)
    headers, draft.schemes = headers_of(operation.node, secrets)
    for name, text in headers.items():
        draft.send(name, text, operation.node)
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
        listed = holder.child("parameters")
        if isinstance(listed.value, list) and len(listed.value) > _MOST_PARAMETERS:
            listed.refuse("parameters_too_many", f"An operation has {_MOST_PARAMETERS} parameters at most.")
        for node in listed.items():
            node.object()
            found[node.text("in"), node.text("name")] = node
    return list(found.values())


def _add_parameter(draft: Draft, shapes: Shapes, node: Node) -> None:
    name, place = node.text("name") or "", node.text("in") or ""
    if place == "header" and name.lower() in _SAID_BY_OTHERS:
        return
    is_required = place == "path" or _is_required(node)
    try:
        match place:
            case "path" | "query":
                draft.add(name, _argument(shapes, node, place), node, is_required=is_required)
            case "header":
                draft.send(name, _fixed(node), node)
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
    schema = shapes.converted(node.below("schema"))
    kinds = _kinds(schema)
    if "object" in kinds or ("array" in kinds and (place == "path" or node.child("explode").value is False)):
        node.refuse("parameter_style", f"A tool writes no {'/'.join(sorted(kinds))} into a {place} in this style.")
    text = node.text("description")
    if text and isinstance(schema, dict) and "description" not in schema:
        schema |= {"description": text[:_LONGEST_OF_A_PARAMETER]}
    return schema


def _kinds(schema: Any) -> set[str]:
    """What a value may be, as far as the schema says so; by what it combines where it does not say so itself."""
    if not isinstance(schema, dict):
        return set()
    kinds = schema.get("type", "object" if "properties" in schema else [])
    if kinds:
        return {kinds} if isinstance(kinds, str) else set(kinds)
    return {kind for keyword in _COMBINING for one in schema.get(keyword, ()) for kind in _kinds(one)}


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
    is_required = _is_required(node)
    before = dict(draft.properties), list(draft.required)
    try:
        if operation.method == "get":
            node.refuse("body_unsent", "A tool sends no body with a GET.")
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


def _is_required(node: Node) -> bool:
    said = node.child("required")
    if said.value not in (None, True, False):
        said.refuse("document_invalid", "Whether it is required is true or false.")
    return said.value is True


def _members(shapes: Shapes, node: Node) -> dict[str, Any]:
    """The schema of a body that is an object with known members."""
    content = node.child("content")
    named = [kind for kind in content.object() if len(kind) <= _LONGEST_MEDIA_TYPE]
    kinds = [kind for kind in named if kind.partition(";")[0].strip().lower() == _JSON]
    if not kinds:
        content.refuse("body_media_type", f"A tool sends {_JSON}, and nothing else.")
    referring = content.child(kinds[0]).below("schema")
    schema, place = shapes.converted(referring), referring.resolved()
    if not isinstance(schema, dict) or _kinds(schema) != {"object"} or not isinstance(schema.get("properties"), dict):
        place.refuse("body_no_object", "The body of a tool is an object with `properties`.")
    if combined := sorted(schema.keys() - _OF_A_BODY):
        place.refuse("body_combined", f"The body of a tool is one object, without {combined[0]!r}.")
    if missing := sorted(set(schema.get("required", ())) - schema["properties"].keys()):
        place.refuse("property_missing", f"The body requires {missing[0][:64]!r}, which is none of its `properties`.")
    return schema
