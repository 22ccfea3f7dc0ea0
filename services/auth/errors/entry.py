"""What the ways in refuse: logins, grants and API keys."""

from collections.abc import Sequence

from shared.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    Unauthenticated,
    field_problems,
)


class _GrantRefused(Unauthenticated):
    """A grant that gives no token; carries OAuth's `error` member (RFC 6749, section 5.2) beside the problem's own."""

    oauth_error = "invalid_grant"

    def __init__(self) -> None:
        super().__init__()
        self.members = {"error": self.oauth_error}


class WrongCredentials(_GrantRefused):
    """One answer for unknown, wrong, locked and disabled: nobody learns which accounts exist."""

    code = "auth.wrong_credentials"
    meaning = (
        "The e-mail address or the password is wrong, the account is disabled, or there were too many wrong attempts: "
        "they are not told apart."
    )
    default_detail = "The e-mail address or the password is wrong."


class SourceHeldOff(RateLimited):
    """Whoever tries from this source, and whatever: nobody learns which accounts exist, or which are known there."""

    code = "auth.source_held_off"
    meaning = (
        "There were too many wrong passwords from this address; `Retry-After` says when to try again. Accounts that "
        "logged in from here before still can."
    )

    def __init__(self, retry_after_seconds: int) -> None:
        detail = "There were too many wrong passwords from this address."
        super().__init__(detail, retry_after_seconds=retry_after_seconds)
        self.members = {"error": "temporarily_unavailable"}  # for clients of OAuth, which look for nothing else


class RefreshTokenRefused(_GrantRefused):
    code = "auth.refresh_token_refused"
    meaning = "The refresh token is unknown, expired, revoked, or was used before and not a moment ago."
    default_detail = "The refresh token is unknown, expired or revoked."


class RefreshTokenReused(RefreshTokenRefused):
    """Exchanged before, and not just now: somebody has a copy, so the whole session ends, and that is committed."""

    keeps_effects = True


class WrongClient(_GrantRefused):
    code = "auth.wrong_client"
    meaning = "The client id or its secret is wrong."
    oauth_error = "invalid_client"
    default_detail = "The client id or its secret is wrong."


class ScopeNotAllowed(Invalid):
    code = "auth.scope_not_allowed"
    meaning = "A key or token was asked for with scopes that the caller does not have."

    def __init__(self, scopes: set[str]) -> None:
        super().__init__(f"The caller may not grant: {', '.join(sorted(scopes))}.", members={"error": "invalid_scope"})


class GrantIncomplete(BadRequest):
    """A grant without something it needs."""

    code = "auth.grant_incomplete"
    meaning = "The grant lacks a field that it needs; `errors` names it."

    def __init__(self, name: str) -> None:
        detail = f"This grant needs {name}."
        super().__init__(
            detail,
            at=(f"/{name}", "missing"),
            members={"error": "invalid_request"},
        )


class GrantUnsupported(BadRequest):
    code = "auth.grant_unsupported"
    meaning = "There is no grant of this `grant_type`; the metadata names those there are."
    default_detail = "There is no such grant."

    def __init__(self) -> None:
        super().__init__(at=("/grant_type", "unsupported"), members={"error": "unsupported_grant_type"})


class FieldRepeated(BadRequest):
    """Two readers of one form could take different ones (RFC 6749, section 3.2)."""

    code = "auth.field_repeated"
    meaning = "A field of the form is there more than once; `errors` names it. Nothing was done."
    default_detail = "A field may be there only once."

    def __init__(self, names: Sequence[str]) -> None:
        found = [{"loc": ("body", name), "type": "repeated", "msg": self.default_detail} for name in names]
        super().__init__(errors=field_problems(found), members={"error": "invalid_request"})


class ApiKeyNotFound(NotFound):
    code = "auth.api_key_not_found"
    meaning = "There is no such API key, or it is another user's."
    default_detail = "There is no such API key."


class ApiKeyUnusable(Unauthenticated):
    """A key that is there and opens nothing. Callers are told what they are told of any, the log whose it is."""

    def __init__(self, *, key_id: str, tenant_id: str, reason: str) -> None:
        super().__init__()
        self.key_id, self.tenant_id, self.reason = key_id, tenant_id, reason


class TooManyApiKeys(Conflict):
    code = "auth.too_many_api_keys"
    meaning = "The user has as many live API keys as one may have: revoke one first."
    default_detail = "There are as many live API keys as one user may have; revoke one first."


class ApiKeyReplaced(Conflict):
    code = "auth.api_key_replaced"
    meaning = "The API key was rotated before: rotate the one that replaced it."
    default_detail = "This key was rotated already; rotate the one that replaced it."


class ApiKeyRefused(Forbidden):
    """What a key made or gave would outlive it."""

    code = "auth.api_key_refused"
    meaning = "An API key makes and rotates no API keys, invites nobody and changes nobody's role: log in for that."
    default_detail = "This takes the access token of a login; an API key may not do it."


class DelegationRefused(Forbidden):
    """That it was asked for is kept in the audit log."""

    code = "auth.delegation_refused"
    meaning = (
        "The service may not act for this user with these scopes, or what they handed the work over with has ended."
    )
    default_detail = "The service may not act for this user with these scopes."


class DelegateRefused(Forbidden):
    """Whoever acts for somebody else must not come to hold what that person would be known by."""

    code = "auth.delegate_refused"
    meaning = "The token is of a service that acts for the user; this they have to do themself."
    default_detail = "A service that acts for the user may not do this."
