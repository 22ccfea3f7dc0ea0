"""The audit log on the wire."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import BeforeValidator, Field

from shared.schemas import Id, Moment, ResponseModel, Text, UtcDatetime

_Name = Annotated[Text, Query(min_length=1, max_length=128)]
_Moment = Annotated[Moment, Query()]


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Which entries; all that are given must match."""

    action: Annotated[
        str | None,
        Query(
            max_length=64,
            pattern=r"^[a-z_]+(\.[a-z_]+)*$",
            description="this action, or with `login` every one that begins with `login.`",
        ),
    ] = None
    actor: Annotated[_Name | None, Query(description="who did it: a user's id, or `service:tasks`")] = None
    tenant_id: Annotated[Id | None, Query(description="in which tenant")] = None
    target: Annotated[_Name | None, Query(description="what it was done to: the id of a user, session, key, …")] = None
    since: Annotated[_Moment | None, Query(description="from this time on")] = None
    until: Annotated[_Moment | None, Query(description="before this time")] = None


class AuditEntryRead(ResponseModel):
    """Who did what, and the hash that chains it to the entry before."""

    number: int = Field(description="rises; a transaction that was rolled back leaves a gap")
    at: UtcDatetime
    action: str
    actor: str | None = Field(description="null where nobody was known, or the system acted")
    tenant_id: str | None
    target: str | None
    source: str | None = Field(description="the address the request came from")
    trace_id: str = Field(description="finds the logs")
    details: dict[str, Any]
    hash: Annotated[str, BeforeValidator(bytes.hex)] = Field(description="hexadecimal")
