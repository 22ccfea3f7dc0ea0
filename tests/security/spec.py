"""The merged OpenAPI document and what proofs are generated from: operations, their scopes, bodies and examples.

It is made of the apps' own documents by the portal's own merge, so that tests can be named by operation before anything
runs; `test_scopes.py` holds it against what the gateway serves.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.portal.merge import merge
from services.topology import SERVICES
from tests.architecture.apps import app_of

Schema = dict[str, Any]
MISSING_ID: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
_DOCUMENTS = {name: app_of(name).openapi() for name in SERVICES} | {"gateway": app_of("portal").openapi()}
DOCUMENT: Final[dict[str, Any]] = json.loads(json.dumps(merge(_DOCUMENTS, {})))

# Operations that nobody needs to be known for, by path, and why.
PUBLIC: Final = {
    "/api/v1/auth/register": "there is no account yet",
    "/api/v1/auth/token": "it is how one becomes known; the body holds the credentials",
    "/api/v1/auth/revoke": "RFC 7009: the token itself is the proof",
    "/api/v1/auth/jwks.json": "public keys",
    "/api/v1/auth/.well-known/oauth-authorization-server": "RFC 8414: where clients begin",
    "/api/v1/auth/invitations/accept": "the invitation's token is the proof",
    "/api/v1/auth/verify": "the letter's token is the proof",
    "/api/v1/auth/password/forgot": "whoever forgot their password cannot show who they are",
    "/api/v1/auth/password/reset": "the letter's token is the proof",
    "/api/v1/health/check": "monitors ask it",
}
# Scopes that no ordinary user may have.
FOR_ADMINS: Final = frozenset({"admin", "auth:introspect"})


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of the document."""

    method: str
    path: str
    described: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.described["operationId"])

    @property
    def scopes(self) -> list[str]:
        """What a caller must hold, all of it."""
        alternatives = self.described.get("security", [])
        return sorted({scope for one in alternatives for scopes in one.values() for scope in scopes})

    @property
    def takes_keys(self) -> bool:
        """Whether an API key is among what it says that it takes."""
        return any("apiKey" in one for one in self.described.get("security", []))

    @property
    def answers_as_openai(self) -> bool:
        """Whether its errors are worded as OpenAI's clients read them."""
        errors = self.described["responses"]["500"]["content"].values()
        return any(one["schema"].get("$ref", "").endswith("/OpenAIError") for one in errors)

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return [resolved(parameter) for parameter in self.described.get("parameters", [])]

    @property
    def bodies(self) -> dict[str, Schema]:
        """Media type → schema."""
        content = self.described.get("requestBody", {}).get("content", {})
        return {media_type: body["schema"] for media_type, body in content.items()}

    def filled(self, values: dict[str, str] | None = None) -> str:
        """The path with `values` for its parameters; for the others an id that was never given to anything.

        What is no id, such as a number or one of a few words, stands there as it may be.
        """
        given = {one["name"]: str(example(one["schema"])) for one in self.parameters if _is_no_id(one)} | (values or {})
        return re.sub(r"\{(\w+)\}", lambda found: given.get(found[1], MISSING_ID), self.path)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


_WITHIN: Final = frozenset({"call_id"})
"""Names of what belongs to a thing that the path names before."""


def _is_no_id(parameter: dict[str, Any]) -> bool:
    schema = resolved(parameter["schema"])
    is_word = parameter["name"] in _WITHIN or "enum" in schema
    return parameter["in"] == "path" and (is_word or schema.get("type") == "integer")


def resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        node: Any = DOCUMENT
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part]
        schema = node
    return schema


def _operations() -> Iterator[Operation]:
    for path, item in DOCUMENT["paths"].items():
        for method, described in item.items():
            yield Operation(method.upper(), path, described)


OPERATIONS: Final = sorted(_operations(), key=str)
PROTECTED: Final = [operation for operation in OPERATIONS if operation.path not in PUBLIC]


def fields(schema: Schema, place: str = "", seen: frozenset[str] = frozenset()) -> Iterator[tuple[str, Schema]]:
    """Every member below `schema` by its place (`agent_id`, `items[].id`); what contains itself is read once."""
    if reference := schema.get("$ref"):
        if reference in seen:
            return
        seen |= {reference}
        schema = resolved(schema)
    for part in parts(schema):
        yield from fields(part, place, seen)
    if isinstance(schema.get("items"), dict):
        yield f"{place}[]", schema["items"]
        yield from fields(schema["items"], f"{place}[]", seen)
    for name, part in schema.get("properties", {}).items():
        inner = f"{place}.{name}".removeprefix(".")
        yield inner, part
        yield from fields(part, inner, seen)


def parts(schema: Schema) -> list[Schema]:
    return [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]


def example(schema: Schema) -> Any:
    """A value that fits: the schema's own example, or the least that it asks for."""
    schema = resolved(schema)
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if choices := parts(schema):
        return example(choices[0])
    match schema.get("type"):
        case "object":
            return {name: example(schema["properties"][name]) for name in schema.get("required", ())}
        case "array":
            return [example(schema["items"])] * max(1, schema.get("minItems", 0))
        case "integer":  # whose bounds the document writes with a point
            return int(schema.get("minimum", 1))
        case "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return MISSING_ID if schema.get("format") == "uuid" else "x" * max(1, schema.get("minLength", 1))
