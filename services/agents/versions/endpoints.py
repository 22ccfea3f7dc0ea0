"""`/agents/{id}/versions`."""

from fastapi import APIRouter, Response

from services.agents.dependencies import Reader, Versions, Writer
from services.agents.domain import Agent
from services.agents.errors import AgentNameTaken, AgentNotFound, ToolUnknown, VersionNotFound
from services.agents.schemas import AgentRead
from services.agents.versions.domain import AgentVersion
from services.agents.versions.schemas import Against, DiffRead, VersionEntryRead, VersionNumber, VersionRead
from shared.door import GuardedRoute, IdempotentRoute, Keyed
from shared.errors import PreconditionFailed, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe, described
from shared.schemas import Id

_PREFIX = "/api/v1/agents/{id}/versions"
router = APIRouter(prefix=_PREFIX, tags=["agents"], route_class=GuardedRoute)
creating = APIRouter(prefix=_PREFIX, tags=["agents"], route_class=IdempotentRoute)

_TAGGED = described(tag="the version that is the agent's now, for `If-Match`")


@router.get(
    "",
    operation_id="agents_list_versions",
    summary="List the versions of an agent",
    response_model=Page[VersionEntryRead],
    responses=responses(AgentNotFound),
)
async def list_page(
    id: Id, caller: Reader, versions: Versions, limit: Limit = 20, cursor: Cursor = None
) -> Page[VersionEntryRead]:
    """Newest first, with who made each and when. The newest 1,000 are kept."""
    found = await versions.list_page(caller, id, limit, cursor)
    return found.page(VersionEntryRead.model_validate)


@router.get(
    "/{version}",
    operation_id="agents_get_version",
    summary="Read a version of an agent",
    response_model=VersionRead,
    responses=responses(AgentNotFound, VersionNotFound),
)
async def get(id: Id, version: VersionNumber, caller: Reader, versions: Versions) -> AgentVersion:
    """The agent as it was at this version; a version never changes."""
    return await versions.get(caller, id, version)


@router.get(
    "/{version}/diff",
    operation_id="agents_diff_version",
    summary="Compare two versions of an agent",
    response_model=DiffRead,
    responses=responses(AgentNotFound, VersionNotFound),
)
async def diff(id: Id, version: VersionNumber, caller: Reader, versions: Versions, against: Against = None) -> DiffRead:
    """What changed from `against` to this version, by field; of metadata, by key.

    A list is one field: `before` and `after` have it whole, `added` and `removed` what only one of them has. One that
    is only in another order differs, with neither. Without `against` it is compared with the version before, which the
    first one has not (404).
    """
    other = version - 1 if against is None else against
    return DiffRead.of(id, version, other, await versions.diff(caller, id, version, other))


@creating.post(
    "/{version}/restore",
    operation_id="agents_restore_version",
    summary="Go back to a version of an agent",
    response_model=AgentRead,
    responses={
        200: _TAGGED,
        **responses(AgentNotFound, VersionNotFound, AgentNameTaken, ToolUnknown, PreconditionFailed),
    },
)
async def restore(
    id: Id,
    version: VersionNumber,
    caller: Writer,
    versions: Versions,
    response: Response,
    once: Keyed,
    if_match: IfMatch = None,
) -> Agent:
    """Make a new version with the content of this one; when that changes nothing, the version stays.

    Relations are no part of a version and stay as they are. A version that names a tool that is no more cannot
    be gone back to (422). Repeated with its `Idempotency-Key` it answers the agent as it is now.
    """
    agent = await versions.restore(caller, id, version, if_match, once)
    describe(response, version=agent.version)
    return agent
