"""What auth refuses.

BadRequest      GrantIncomplete · GrantUnsupported · FieldRepeated
Conflict        EmailTaken · TooManyApiKeys · ApiKeyReplaced · AlreadyMember · LastOwner · OwnAccount
                TooManyTenants · TooManyInvitations
Unauthenticated WrongCredentials · RefreshTokenRefused ─ RefreshTokenReused
                WrongClient · ApiKeyUnusable
NotFound        ApiKeyNotFound · UserNotFound · MemberNotFound · InvitationNotFound
Invalid         ScopeNotAllowed · PasswordTooCommon · InvitationRefused · AddressRefused
                ProofRefused · ResetRefused
Forbidden       DelegationRefused · WrongCurrentPassword · DelegateRefused · ApiKeyRefused · EmailUnverified
RateLimited     SourceHeldOff
Unavailable     HashingBusy
"""

from collections.abc import Sequence

from shared.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
    field_problems,
)


class EmailTaken(Conflict):
    """Told to administrators only; anybody else could learn from it who has an account."""

    code = "auth.email_taken"
    meaning = "The e-mail address is registered already; only administrators are told."
    default_detail = "This e-mail address is registered already."


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


class PasswordTooCommon(Invalid):
    code = "auth.password_too_common"
    meaning = "The password is among the most common ones: choose another."

    def __init__(self, pointer: str) -> None:
        detail = "This password is among the most common ones, which are tried first."
        super().__init__(detail, at=(pointer, "too_common"))


class WrongCurrentPassword(Forbidden):
    """Not 401: the caller is known, and what they typed is counted like a failed login."""

    code = "auth.wrong_current_password"
    meaning = "The current password is wrong, or there were too many wrong ones; the password was not changed."
    default_detail = "The current password is wrong."


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


class UserNotFound(NotFound):
    code = "auth.user_not_found"
    meaning = "There is no such user."
    default_detail = "There is no such user."


class OwnAccount(Conflict):
    """Whoever locks themself out may be the last one who could have let them in again."""

    code = "auth.own_account"
    meaning = "Administrators cannot disable their own account; another administrator can."
    default_detail = "Administrators cannot disable their own account; another administrator can."


class MemberNotFound(NotFound):
    code = "auth.member_not_found"
    meaning = "The tenant has no such member."
    default_detail = "The tenant has no such member."


class AlreadyMember(Conflict):
    code = "auth.already_member"
    meaning = "The user of this address belongs to the tenant already."
    default_detail = "The user of this address belongs to the tenant already."


class LastOwner(Conflict):
    code = "auth.last_owner"
    meaning = "The tenant would be left without an owner: make another member an owner first."
    default_detail = "A tenant keeps at least one owner; make another member an owner first."


class TooManyTenants(Conflict):
    code = "auth.too_many_tenants"
    meaning = "The user belongs to as many tenants as one may: leave one first."
    default_detail = "The user belongs to as many tenants as one may; leave one first."


class TooManyInvitations(Conflict):
    code = "auth.too_many_invitations"
    meaning = "The tenant has sent as many invitations within a week as it may, and nobody has accepted them."
    default_detail = "The tenant has as many unanswered invitations as it may send in a week."


class InvitationNotFound(NotFound):
    code = "auth.invitation_not_found"
    meaning = "There is no such open invitation of the tenant."
    default_detail = "There is no such open invitation."


class InvitationRefused(Invalid):
    """One answer for unknown, expired, withdrawn and used."""

    code = "auth.invitation_refused"
    meaning = "The invitation is unknown, expired, withdrawn or used."
    default_detail = "The invitation is unknown, expired, withdrawn or used."


class ProofRefused(Invalid):
    """One answer for unknown, over, used, and of an address that another account has proved."""

    code = "auth.proof_refused"
    meaning = "The token of the letter is unknown, over or used, or its address is another account's by now."
    default_detail = "The token is unknown, over or used: ask for another letter."


class ResetRefused(Invalid):
    """One answer for unknown, over and used."""

    code = "auth.reset_refused"
    meaning = "The token of the letter is unknown, over or used; the password was not changed."
    default_detail = "The token is unknown, over or used: ask for another letter."


class AddressRefused(Invalid):
    """The mail server does not know the address, does not take mail for it from us, or cannot read it."""

    code = "auth.address_refused"
    meaning = (
        "The mail server takes no mail for this address, or none whose part before the `@` is beyond ASCII (SMTPUTF8); "
        "nobody was invited."
    )
    default_detail = "The mail server takes no mail for this address."

    def __init__(self) -> None:
        super().__init__(
            at=("/email", "address_refused"),
        )


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


class EmailUnverified(Forbidden):
    """Anybody may have typed that address: what is done in its name would be believed to be its owner's."""

    code = "auth.email_unverified"
    meaning = (
        "The caller's address has not been proved, so they may not act on others: `POST /auth/verify` with the token "
        "of the letter, which `POST /auth/verify/resend` sends again."
    )
    default_detail = "The e-mail address of this account has to be proved first."


class ApiKeyRefused(Forbidden):
    """What a key made or gave would outlive it."""

    code = "auth.api_key_refused"
    meaning = "An API key makes and rotates no API keys, invites nobody and changes nobody's role: log in for that."
    default_detail = "This takes the access token of a login; an API key may not do it."


class HashingBusy(Unavailable):
    """More logins at once than there are processors for; refused before any work."""

    code = "auth.hashing_busy"
    meaning = "Too many logins at once; nothing was tried."

    def __init__(self) -> None:
        super().__init__("auth", retry_after_seconds=1, detail="Too many logins at once; try again in a moment.")
