"""A password as somebody chooses it."""

from typing import Annotated

from pydantic import Field, SecretStr

Password = Annotated[
    SecretStr,
    Field(
        min_length=8,
        max_length=128,
        description="any characters; the most common passwords are refused",
        examples=["correct horse battery staple"],
    ),
]
