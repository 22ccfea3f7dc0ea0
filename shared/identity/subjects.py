"""The subjects a token may be revoked by. auth writes them, `Caller` names its own; both spell them here."""


# The subjects a token may be revoked by. auth writes them, `Caller` names its own; both spell them here.


def token_subject(token_id: str) -> str:
    return f"jti:{token_id}"


def session_subject(session_id: str) -> str:
    return f"sid:{session_id}"


def key_subject(key_id: str) -> str:
    return f"key:{key_id}"


def user_subject(user_id: str) -> str:
    return f"sub:{user_id}"


def member_subject(tenant_id: str, user_id: str) -> str:
    """A user within one tenant: for a role that was lowered or taken away."""
    return f"mem:{tenant_id}:{user_id}"
