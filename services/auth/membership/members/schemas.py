"""Members on the wire."""

from pydantic import ConfigDict, Field

from services.auth.trust.scopes import Role
from shared.schemas import Id, RequestModel, ResponseModel, UtcDatetime


class MemberRead(ResponseModel):
    """A user of the tenant."""

    user_id: Id
    email: str
    name: str | None
    role: Role
    created_at: UtcDatetime = Field(description="when they joined")


class MemberUpdate(RequestModel):
    """What a member may do from now on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "viewer"}]})

    role: Role = Field(description="`viewer` reads, `member` also writes, `owner` also decides who belongs here")
