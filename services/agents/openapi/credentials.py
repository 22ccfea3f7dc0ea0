"""Security schemes of OpenAPI as headers of a tool, which name secrets."""

from collections.abc import Mapping
from typing import Final

from services.agents.openapi.domain import Node

_MOST_ALTERNATIVES: Final = 64


def headers_of(operation: Node, secrets: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """And the schemes they are of: those of the first alternative whose schemes all have a secret.

    None where the operation asks for none.

    Raises Inexpressible where no alternative has its secrets, or a scheme is none that a header holds.
    """
    root = operation.document.top
    asked = operation.child("security")
    if asked.value is None:
        asked = root.child("security")
    if asked.value is not None and not isinstance(asked.value, list):
        asked.refuse("document_invalid", "A list belongs here.")
    if len(asked.value or ()) > _MOST_ALTERNATIVES:
        asked.refuse("document_invalid", f"An operation has {_MOST_ALTERNATIVES} alternatives of security at most.")
    alternatives = [one.object() for one in asked.items()]
    for names in alternatives:
        if names and all(name in secrets for name in names):
            schemes = root.child("components").child("securitySchemes")
            return _of_all([(schemes.child(name), secrets[name]) for name in names]), set(names)
    if alternatives and not any(not names for names in alternatives):
        wanted = " or ".join(" and ".join(map(repr, names)) for names in alternatives[:3])
        asked.refuse("secret_missing", f"Name in `secrets` what is for {wanted[:200]}.")
    return {}, set()


def _of_all(schemes: list[tuple[Node, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for scheme, secret in schemes:
        name, text = _header(scheme, f"${{secret:{secret}}}")
        if name.lower() in {one.lower() for one in headers}:
            scheme.refuse("header_twice", f"Two schemes use the header {name[:64]!r}.")
        headers[name] = text
    return headers


def _header(scheme: Node, secret: str) -> tuple[str, str]:
    """A header and what stands in it."""
    match scheme.text("type"), (scheme.text("scheme") or "").lower(), scheme.text("in"):
        case "http", "bearer", _:
            return "Authorization", f"Bearer {secret}"
        case "http", "basic", _:
            return "Authorization", f"Basic {secret}"
        case "apiKey", _, "header":
            return scheme.text("name") or "", secret
        case "apiKey", _, place:
            return scheme.refuse("security_scheme", f"A tool sends a key in a header, not in {str(place)[:32]!r}.")
        case kind, _, _:
            return scheme.refuse("security_scheme", f"A tool has no credential of the kind {str(kind)[:32]!r}.")
