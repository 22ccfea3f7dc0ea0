"""Writes docs/configuration.md from the settings themselves: `make docs`. A test compares."""

import importlib
import sys
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from local.layout import REPOSITORY
from shared.settings import ServiceSettings, SettingsWithFiles
from tests.architecture.apps import APPS

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
    parts += [section(title, own_of(settings)) for title, settings in processes()]
    return "\n".join(parts)


def processes() -> Iterator[tuple[str, type[SettingsWithFiles]]]:
    """Each that has settings of its own, whatever file called `settings.py` they stand in, with its title."""
    files = [*REPOSITORY.glob("services/*/settings.py"), *REPOSITORY.glob("gateway/*/settings.py")]
    for file in sorted(files, key=lambda file: [*APPS, "envoy", "sync"].index(file.parent.name)):
        module = importlib.import_module(".".join(file.relative_to(REPOSITORY).with_suffix("").parts))
        ours = [one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__]
        kinds = [one for one in ours if isinstance(one, type) and issubclass(one, SettingsWithFiles)]
        for settings in sorted(kinds, key=lambda one: one.__name__ != "Settings"):
            # What processes only share is read under theirs.
            if settings.__name__ == "Settings" or not any(settings in one.__mro__[1:] for one in kinds):
                yield titled(file.parent.name, settings.__name__.removesuffix("Settings").lower()), settings


def titled(room: str, process: str) -> str:
    """The service's name, and which of its processes it is when that is not the service itself."""
    if room in {"envoy", "sync"}:
        return {"envoy": process, "sync": "make gateway-sync"}[room]
    return f"{room}' {process}" if process else room


def own_of(settings: type[SettingsWithFiles]) -> dict[str, FieldInfo]:
    """What all services do not have, or have otherwise; all of what is no service's."""
    fields = settings.model_fields
    common = ServiceSettings.model_fields if issubclass(settings, ServiceSettings) else {}
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
