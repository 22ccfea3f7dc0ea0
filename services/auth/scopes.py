"""The scopes there are, and who may hold them."""

from services.auth.errors import ScopeNotAllowed

USER_SCOPES = frozenset(
    {
        "auth:profile",
        "auth:keys",
        "agents:read",
        "agents:write",
        "chat:read",
        "chat:write",
        "vectors:read",
        "vectors:write",
        "tasks:read",
        "tasks:write",
    }
)
ADMIN_SCOPES = USER_SCOPES | {"admin"}


def scopes_of(*, is_admin: bool) -> frozenset[str]:
    """Everything this kind of user may be granted."""
    return ADMIN_SCOPES if is_admin else USER_SCOPES


def granted(requested: frozenset[str], allowed: frozenset[str]) -> frozenset[str]:
    """The requested scopes, or all allowed ones when none were named. Raises ScopeNotAllowed for any beyond."""
    if beyond := requested - allowed:
        raise ScopeNotAllowed(set(beyond))
    return requested or allowed
