"""A change of password on the wire, and the way back to a forgotten one."""

from pydantic import Field

from services.auth.people.accounts.schemas import Email
from services.auth.people.letters.schemas import TokenOfALetter
from services.auth.people.passwords.schemas import Password, TypedPassword
from shared.schemas import RequestModel


class PasswordChange(RequestModel):
    """The old password and the new one."""

    current_password: TypedPassword = Field(min_length=1, examples=["correct horse battery staple"])
    new_password: Password


class PasswordForgotten(RequestModel):
    """Whose password was forgotten."""

    email: Email


class PasswordReset(RequestModel):
    """The token out of the letter, and the new password."""

    token: TokenOfALetter
    password: Password
    revoke_api_keys: bool = Field(
        default=False, description="whether the account's API keys end too, in all its tenants: somebody else had it"
    )
