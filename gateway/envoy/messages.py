"""Envoy's configuration messages as JSON: the few spellings that every part of the compiler shares."""

from typing import Any

Json = dict[str, Any]

_TYPES = "type.googleapis.com/envoy."


def typed(message: str, **fields: Any) -> Json:
    """An `Any` of Envoy's message `message` (without its `envoy.` in front)."""
    return {"@type": _TYPES + message, **fields}


def extension(name: str, message: str, **fields: Any) -> Json:
    """A filter, access logger or other extension by name, with its configuration."""
    return {"name": name, "typed_config": typed(message, **fields)}


def set_header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Json:
    """A HeaderValueOption; `value` may hold Envoy's %OPERATORS%. A value that comes out empty adds nothing."""
    return {"header": {"key": name, "value": value}, "append_action": action}


def seconds(value: float) -> str:
    """A protobuf Duration."""
    return f"{value:g}s"


def disabled() -> Json:
    """The per-route configuration that switches a filter off."""
    return typed("config.route.v3.FilterConfig", disabled=True)
