"""Answers that hold a secret: what they say to caches, and how documents tell of it."""

from collections.abc import Mapping
from typing import Any, Final

from shared.schemas import SecretModel

NOT_KEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""For whatever lies between us and the caller, and for the caller's own cache (RFC 6749, section 5.1)."""
_DECLARED: Final = {name: {"schema": {"type": "string", "const": value}} for name, value in NOT_KEPT.items()}


def shows_secret(model: Any) -> bool:
    """Whether what a route answers holds a secret."""
    return isinstance(model, type) and issubclass(model, SecretModel)


def declaring(responses: Mapping[int | str, Any] | None, status: int | None) -> dict[int | str, Any]:
    """The `responses=` of a route with the headers of the answer that holds the secret."""
    declared = dict(responses or {})
    status = status or 200
    return {**declared, status: {**declared.get(status, {}), "headers": _DECLARED}}
