"""What auth refuses.

Conflict        EmailTaken · TooManyApiKeys
Unauthenticated WrongCredentials · RefreshTokenRefused · RefreshTokenReused · WrongClient
NotFound        ApiKeyNotFound
Invalid         ScopeNotAllowed
Forbidden       DelegationRefused
Unavailable     HashingBusy
"""

from shared.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable


class EmailTaken(Conflict):
    code = "auth.email_taken"
    default_detail = "This e-mail address is registered already."


class _GrantRefused(Unauthenticated):
    """A grant that gives no token; carries OAuth's `error` member (RFC 6749, section 5.2) beside the problem's own."""

    oauth_error = "invalid_grant"

    def __init__(self) -> None:
        super().__init__()
        self.members = {"error": self.oauth_error}


class WrongCredentials(_GrantRefused):
    """One answer for unknown, wrong and disabled: nobody learns which accounts exist."""

    code = "auth.wrong_credentials"
    default_detail = "The e-mail address or the password is wrong."


class RefreshTokenRefused(_GrantRefused):
    code = "auth.refresh_token_refused"
    default_detail = "The refresh token is unknown, expired or revoked."


class RefreshTokenReused(RefreshTokenRefused):
    """A token that was exchanged before: somebody has a copy, so the whole session ends, and that is committed."""

    keeps_effects = True


class WrongClient(_GrantRefused):
    code = "auth.wrong_client"
    oauth_error = "invalid_client"
    default_detail = "The client id or its secret is wrong."


class ScopeNotAllowed(Invalid):
    code = "auth.scope_not_allowed"

    def __init__(self, scopes: set[str]) -> None:
        super().__init__(f"The caller may not grant: {', '.join(sorted(scopes))}.")


class ApiKeyNotFound(NotFound):
    code = "auth.api_key_not_found"
    default_detail = "There is no such API key."


class TooManyApiKeys(Conflict):
    code = "auth.too_many_api_keys"
    default_detail = "There are as many live API keys as one user may have; revoke one first."


class DelegationRefused(Forbidden):
    code = "auth.delegation_refused"
    default_detail = "The service may not act for this user with these scopes."


class HashingBusy(Unavailable):
    """More logins at once than there are processors for; refused before any work."""

    code = "auth.hashing_busy"

    def __init__(self) -> None:
        super().__init__("auth", retry_after_seconds=1, detail="Too many logins at once; try again in a moment.")
