"""The audit log on the wire."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import BeforeValidator, Field

from shared.schemas import Id, Moment, ResponseModel, Text, UtcDatetime

_Name = Annotated[Text, Query(min_length=1, max_length=128)]
_Moment = Annotated[Moment, Query()]


@dataclass(frozen=True, slots=True)
class TenantAuditFilters:
    """Which entries of a tenant; all that are given must match."""

    action: Annotated[
        str | None,
        Query(
            max_length=64,
            pattern=r"^[a-z_]+(\.[a-z_]+)*$",
            description="this action, or with `login` every one that begins with `login.`",
        ),
    ] = None
    actor: Annotated[_Name | None, Query(description="who did it: a user's id, or `service:tasks`")] = None
    target: Annotated[_Name | None, Query(description="what it was done to: the id of a user, session, key, …")] = None
    since: Annotated[_Moment | None, Query(description="from this time on")] = None
    until: Annotated[_Moment | None, Query(description="before this time")] = None


@dataclass(frozen=True, slots=True)
class AuditFilters(TenantAuditFilters):
    """Which entries; all that are given must match."""

    tenant_id: Annotated[Id | None, Query(description="in which tenant")] = None


class TenantAuditEntryRead(ResponseModel):
    """Who did what."""

    at: UtcDatetime
    action: str = Field(description="what docs/audit.md lists")
    actor: str | None = Field(description="null where nobody was known, or the system acted")
    target: str | None
    source: str | None = Field(description="the address the request came from")
    trace_id: str = Field(description="finds the logs")
    details: dict[str, Any] = Field(
        description="what the action has to say; `act` and `key_id`: by what the actor did it; `repeated`: how often "
        "it came again within some minutes, `others`: that it stands for several"
    )


class AuditEntryRead(TenantAuditEntryRead):
    """Who did what in which tenant, and the hash that chains it to the entry before."""

    number: int = Field(description="rises; a transaction that was rolled back leaves a gap")
    tenant_id: str | None
    hash: Annotated[str, BeforeValidator(bytes.hex)] = Field(description="hexadecimal")
