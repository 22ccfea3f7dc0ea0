"""Passwords on the wire: as somebody chooses one, and as somebody types one. Both are spelled, then measured."""

from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from services.auth.people.passwords.spelling import spelled
from shared.schemas import SecretText

MAX_LENGTH: Final = 128
_LONGEST_TYPED = 4 * MAX_LENGTH  # no character is more than four in any Unicode form


def _spelled(typed: object) -> object:
    # What is longer than any form of an allowed one stays so, and is refused for its length.
    return spelled(typed) if isinstance(typed, str) and len(typed) <= _LONGEST_TYPED else typed


TypedPassword = Annotated[SecretText, Field(max_length=MAX_LENGTH), BeforeValidator(_spelled)]
Password = Annotated[
    SecretText,
    Field(
        min_length=8,
        max_length=MAX_LENGTH,
        description="any characters but control characters, in any Unicode form, counted in NFC; the most common "
        "passwords are refused",
        examples=["correct horse battery staple"],
    ),
    BeforeValidator(_spelled),
]
