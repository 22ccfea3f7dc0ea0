"""The grammar of scopes: what a caller holds against what an operation needs.

agents:read            read any agent
agents:<id>:read       read this one agent
agents:*               every action on any agent
admin                  a word by itself
"""

from collections.abc import Iterable

SCOPE_PATTERN = r"^[a-z]+(:[a-z0-9][a-z0-9_-]{0,63})?(:([a-z]+|\*))$|^[a-z]+$"


def narrowed(scope: str, object_id: str) -> str:
    """`agents:read` for one object only: `agents:<id>:read`."""
    resource, _, action = scope.rpartition(":")
    return f"{resource}:{object_id}:{action}"


def covers(held: str, needed: str) -> bool:
    """Whether holding the one gives the other: the same resource, the same object or any, the same action or all."""
    if held == needed:
        return True
    resource, object_id, action = _parts(held)
    needed_resource, needed_object, needed_action = _parts(needed)
    return (
        resource == needed_resource
        and object_id in ("", needed_object)
        and action in ("*", needed_action)
        and needed_action != ""
    )


def is_covered(needed: str, held: Iterable[str]) -> bool:
    """Whether any of the held scopes gives `needed`."""
    return any(covers(one, needed) for one in held)


def _parts(scope: str) -> tuple[str, str, str]:
    """Resource, object and action; a missing part is empty."""
    resource, _, rest = scope.partition(":")
    object_id, _, action = rest.rpartition(":")
    return resource, object_id, action
