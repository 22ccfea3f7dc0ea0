"""Writes docs/configuration.md from the settings themselves: `make docs`. A test compares."""

import importlib
import sys
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.vectors.settings import NodeSettings
from shared.settings import ServiceSettings
from tests.architecture.apps import APPS, package_of

HEAD = """# Configuration

Every setting of every process, read from the environment. A secret may come from a file instead: `NAME_FILE` holds its
path. Lists and maps are JSON.

Values out of bounds stop the start, and so do secrets that are easy to guess unless `ENVIRONMENT=local`
([which](security.md#secrets-that-are-refused)). The process then ends with code 78 and a line on stderr for each, with
the variable and the reason, never the value. So it does for what only trying shows: a port that is taken, an address
that is none, a database role that may not. A store that is needed and away ends it with code 75, and a later
start may work.

Written by `make docs` from the code.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, section("All services", ServiceSettings.model_fields)]
    for app in APPS:
        parts.append(section(app, own_of(importlib.import_module(f"{package_of(app)}.settings").Settings)))
        if app == "vectors":
            parts.append(section("vectors' node", own_of(NodeSettings)))
    return "\n".join(parts)


def own_of(settings: type[ServiceSettings]) -> dict[str, FieldInfo]:
    """What all services do not have, or have otherwise."""
    common, fields = ServiceSettings.model_fields, settings.model_fields
    return {name: field for name, field in fields.items() if name not in common or differs(field, common[name])}


def differs(field: FieldInfo, base: FieldInfo) -> bool:
    return (field.default, field.description) != (base.default, base.description)


def section(title: str, fields: dict[str, FieldInfo]) -> str:
    rows = "".join(
        f"| `{name.upper()}` | {default_of(field)} | {field.description} |\n" for name, field in fields.items()
    )
    return f"## {title}\n\n| variable | default | meaning |\n|---|---|---|\n{rows}"


def default_of(field: FieldInfo) -> str:
    default: Any = field.get_default(call_default_factory=True)
    if field.is_required() or default is PydanticUndefined:
        return "required"
    return "none" if default in (None, {}, [], "") else f"`{default}`"


if __name__ == "__main__":
    sys.stdout.write(page())
