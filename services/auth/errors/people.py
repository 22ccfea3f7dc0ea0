"""What accounts, their addresses and passwords refuse."""

from shared.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable


class EmailTaken(Conflict):
    """Told to administrators only; anybody else could learn from it who has an account."""

    code = "auth.email_taken"
    meaning = "The e-mail address is registered already; only administrators are told."
    default_detail = "This e-mail address is registered already."


class EmailUnverified(Forbidden):
    """Anybody may have typed that address: what is done in its name would be believed to be its owner's."""

    code = "auth.email_unverified"
    meaning = (
        "The caller's address has not been proved, so they may not act on others: `POST /auth/verify` with the token "
        "of the letter, which `POST /auth/verify/resend` sends again."
    )
    default_detail = "The e-mail address of this account has to be proved first."


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


class UserNotFound(NotFound):
    code = "auth.user_not_found"
    meaning = "There is no such user."
    default_detail = "There is no such user."


class OwnAccount(Conflict):
    """Whoever locks themself out may be the last one who could have let them in again."""

    code = "auth.own_account"
    meaning = "Administrators cannot disable their own account; another administrator can."
    default_detail = "Administrators cannot disable their own account; another administrator can."


class UserDisplaced(Conflict):
    """Enabled, its keys and what was begun with it would go on, and nobody could log in to it."""

    code = "auth.user_displaced"
    meaning = "The account gave its address up to who proved it; nobody can log in to it, so it is not enabled."
    default_detail = "This account gave its address up to who proved it, and stays disabled."


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


class HashingBusy(Unavailable):
    """More logins at once than there are processors for; refused before any work."""

    code = "auth.hashing_busy"
    meaning = "Too many logins at once; nothing was tried."

    def __init__(self) -> None:
        super().__init__("auth", retry_after_seconds=1, detail="Too many logins at once; try again in a moment.")
