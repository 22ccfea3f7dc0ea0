"""A change of password on the wire."""

from pydantic import Field

from services.auth.people.passwords.schemas import Password, TypedPassword
from shared.schemas import RequestModel


class PasswordChange(RequestModel):
    """The old password and the new one."""

    current_password: TypedPassword = Field(min_length=1, examples=["correct horse battery staple"])
    new_password: Password
