"""Proofs of an address on the wire."""

from typing import Annotated

from pydantic import Field

from services.auth.people.accounts.schemas import Email
from services.auth.people.letters.schemas import TokenOfALetter
from services.auth.people.passwords.schemas import TypedPassword
from shared.schemas import RequestModel


class EmailProof(RequestModel):
    """The token out of the letter."""

    token: TokenOfALetter


class EmailChange(RequestModel):
    """The address that one would rather have, and the password that shows who asks."""

    email: Annotated[Email, Field(description="the new one")]
    current_password: TypedPassword = Field(min_length=1, examples=["correct horse battery staple"])
