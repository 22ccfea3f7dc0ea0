"""Schemas of OpenAPI 3.0 and 3.1 as JSON Schemas that refer to nothing: each reference is replaced by what it leads to.

Replacing can make much of little, so what comes out is counted while it is made.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from services.agents.openapi.domain import MOST_REFERENCES, Inexpressible, Node

TOO_LARGE: Final = "schema_too_large"

_MOST_NODES: Final = 1_000
"""Schemas of one operation, each reference counted with all that it leads to."""
_MOST_MEMBERS: Final = 10_000
"""Of these schemas: keywords, properties and items, also such as are left out."""
_MOST_BYTES: Final = 16 * 2**10
"""Of what stands in these schemas and of their names: a tool may have no more."""
_MOST_LEVELS: Final = 32
_COPIED: Final = frozenset(
    {
        *("type", "enum", "const", "format", "title", "description", "default", "multipleOf", "maximum", "minimum"),
        *("exclusiveMaximum", "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems"),
        *("uniqueItems", "maxProperties", "minProperties", "required", "maxContains", "minContains"),
        *("dependentRequired", "contentEncoding", "contentMediaType"),
    }
)
_SINGLE: Final = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties"}
)
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
# They say nothing that a value is held against.
_LEFT_OUT: Final = frozenset(
    {
        *("example", "examples", "xml", "externalDocs", "discriminator", "deprecated", "readOnly", "writeOnly"),
        *("nullable", "$comment", "$schema", "$id", "$defs", "definitions"),
    }
)
_ANNOTATIONS: Final = frozenset({"title", "description", "default"})
_KNOWN: Final = _COPIED | _SINGLE | _LISTS | _MAPS


class Shapes:
    """Converts the schemas of one operation, which may have so many together."""

    def __init__(self) -> None:
        self._nodes, self._members, self._bytes = _MOST_NODES, _MOST_MEMBERS, _MOST_BYTES

    def converted(self, node: Node, within: tuple[str, ...] = ()) -> Any:
        """The JSON Schema. Raises Inexpressible for one that holds itself, is too large, or has an unknown keyword."""
        node, beside = self._beside_references(node)
        self._nodes -= 1
        if self._nodes < 0 or len(within) > _MOST_LEVELS:
            node.refuse(TOO_LARGE, f"An operation has {_MOST_NODES} schemas at most, {_MOST_LEVELS} deep.")
        if node.pointer in within:
            node.refuse("schema_recursive", "A schema that holds itself has no end.")
        if isinstance(node.value, bool):
            return node.value
        self._charge(node, members=len(node.object()))
        inside = (*within, node.pointer)
        schema: dict[str, Any] = {}
        for keyword in node.object():
            schema |= self._keyword(node, keyword, inside)
        return _of_this_dialect(node.object(), schema) | beside

    def _beside_references(self, node: Node) -> tuple[Node, dict[str, Any]]:
        """What they lead to, and what is said of it beside them, as OpenAPI 3.1 has it; for 3.0 that means nothing."""
        said: dict[str, Any] = {}
        is_heard = str(node.document.root.get("openapi")).startswith("3.1")
        for _ in range(MOST_REFERENCES):
            if node.reference is None:
                break
            self._charge(node, members=len(node.value))
            for keyword, value in node.value.items() if is_heard else ():
                if keyword in _ANNOTATIONS:
                    self._charge(node, size=_size(node, value))
                    said.setdefault(keyword, value)
                elif keyword in _KNOWN:
                    node.refuse("reference_siblings", f"Beside a reference a tool's schema has no {keyword!r}.")
            node = node.followed(node.reference)
        return node.resolved(), said

    def _charge(self, node: Node, *, members: int = 0, size: int = 0) -> None:
        """Raises Inexpressible once there was too much, and for whatever comes then."""
        self._members -= members
        self._bytes -= size
        if self._members < 0 or self._bytes < 0:
            most = f"{_MOST_MEMBERS:,} keywords and properties and {_MOST_BYTES:,} bytes"
            node.refuse(TOO_LARGE, f"The schemas of an operation have {most} at most.")

    def _keyword(self, node: Node, keyword: str, within: tuple[str, ...]) -> dict[str, Any]:
        value = node.object()[keyword]
        if keyword in _LEFT_OUT or keyword.startswith("x-"):
            return {}
        below = node.below(keyword)
        if keyword in _COPIED:
            self._charge(below)
            self._charge(below, size=len(keyword) + _size(below, value))
            return {keyword: _right(below, keyword)}
        if keyword in _SINGLE:
            return {keyword: self.converted(below, within)}
        if keyword in _LISTS and isinstance(value, list):
            return {keyword: [self.converted(below.below(at), within) for at in range(len(value))]}
        if keyword in _MAPS and isinstance(value, dict):
            self._charge(below, members=len(value))
            shown = [name for name in value if not _is_of_answers(below.child(name))]
            self._charge(below, size=sum(map(len, shown)))
            return {keyword: {name: self.converted(below.below(name), within) for name in shown}}
        raise Inexpressible(below.pointer, "keyword_unknown", f"A tool's schema has no {keyword[:64]!r} here.")


def _size(node: Node, value: Any) -> int:
    """In bytes, about; of a long text without a look at it."""
    if isinstance(value, str):
        return len(value)
    try:
        return len(orjson.dumps(value))
    except TypeError:
        node.refuse("document_invalid", "A schema has no integer beyond 64 bits.")


def _right(node: Node, keyword: str) -> Any:
    """The value of a keyword whose kind is relied on here. Raises Inexpressible for another."""
    value = node.value
    texts = value if isinstance(value, list) else [value]
    if keyword == "type" and not all(isinstance(one, str) for one in texts):
        node.refuse("document_invalid", "A type is a text, or a list of some.")
    if keyword == "required" and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        node.refuse("document_invalid", "What is required is a list of names.")
    return value


def _is_of_answers(node: Node) -> bool:
    return isinstance(node.value, dict) and node.value.get("readOnly") is True


def _of_this_dialect(said: Mapping[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI 3.0 says otherwise: `nullable`, and bounds that are exclusive by a boolean beside them."""
    for exclusive, bound in (("exclusiveMaximum", "maximum"), ("exclusiveMinimum", "minimum")):
        if isinstance(is_exclusive := schema.get(exclusive), bool):
            del schema[exclusive]
            if is_exclusive and bound in schema:
                schema[exclusive] = schema.pop(bound)
    if said.get("nullable") is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("required"), list) and isinstance(schema.get("properties"), dict):
        hidden = _hidden(said, schema)
        schema["required"] = [name for name in schema["required"] if name not in hidden]
    return schema


def _hidden(said: Mapping[str, Any], schema: Mapping[str, Any]) -> set[str]:
    """Properties that only answers have."""
    properties = said.get("properties")
    return set(properties) - set(schema["properties"]) if isinstance(properties, dict) else set()
