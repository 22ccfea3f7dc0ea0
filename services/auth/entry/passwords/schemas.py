"""A change of password on the wire."""

from pydantic import Field, SecretStr

from services.auth.people.passwords.schemas import Password
from shared.schemas import RequestModel


class PasswordChange(RequestModel):
    """The old password and the new one."""

    current_password: SecretStr = Field(min_length=1, max_length=128, examples=["correct horse battery staple"])
    new_password: Password
