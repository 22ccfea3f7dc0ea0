"""Schemas of OpenAPI 3.0 and 3.1 as JSON Schemas that refer to nothing: each reference is replaced by what it leads to.

Replacing can make much of little, so what comes out is counted while it is made.
"""

from collections.abc import Mapping
from typing import Any, Final

from services.agents.openapi.domain import Inexpressible, Node

_MOST_NODES: Final = 1_000
"""Schemas of one operation, each reference counted with all that it leads to."""
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


class Shapes:
    """Converts the schemas of one operation, which may have so many together."""

    def __init__(self) -> None:
        self._left = _MOST_NODES

    def converted(self, node: Node, within: tuple[str, ...] = ()) -> Any:
        """The JSON Schema. Raises Inexpressible for one that holds itself, is too large, or has an unknown keyword."""
        node = node.resolved()
        self._left -= 1
        if self._left < 0 or len(within) > _MOST_LEVELS:
            node.refuse("schema_too_large", f"An operation has {_MOST_NODES} schemas at most, {_MOST_LEVELS} deep.")
        if node.pointer in within:
            node.refuse("schema_recursive", "A schema that holds itself has no end.")
        if isinstance(node.value, bool):
            return node.value
        inside = (*within, node.pointer)
        schema: dict[str, Any] = {}
        for keyword in node.object():
            schema |= self._keyword(node, keyword, inside)
        return _of_this_dialect(node.object(), schema)

    def _keyword(self, node: Node, keyword: str, within: tuple[str, ...]) -> dict[str, Any]:
        value = node.object()[keyword]
        if keyword in _COPIED:
            return {keyword: value}
        if keyword in _LEFT_OUT or keyword.startswith("x-"):
            return {}
        below = Node(value, f"{node.pointer}/{keyword}", node.root)
        if keyword in _SINGLE:
            return {keyword: self.converted(below, within)}
        if keyword in _LISTS and isinstance(value, list):
            return {keyword: [self.converted(one, within) for one in below.items()]}
        if keyword in _MAPS and isinstance(value, dict):
            shown = {name: one for name, one in below.members() if not _is_of_answers(one)}
            return {keyword: {name: self.converted(one, within) for name, one in shown.items()}}
        raise Inexpressible(below.pointer, "keyword_unknown", f"A tool's schema has no {keyword[:64]!r} here.")


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
