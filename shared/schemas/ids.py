"""Identifiers: UUIDv7, so that they sort by time of creation and index well."""

from typing import Annotated
from uuid import UUID

import uuid_utils
from pydantic import AfterValidator, Field


def new_id() -> str:
    """A fresh UUIDv7 in its canonical text form."""
    return str(uuid_utils.uuid7())


def _canonical(value: str) -> str:
    return str(UUID(value))


Id = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        json_schema_extra={"format": "uuid"},
        examples=["01890a5d-ac96-774b-bcce-b302099a8057"],
    ),
    AfterValidator(_canonical),
]
