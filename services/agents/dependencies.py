"""The annotated types that agents' routes ask for."""

from typing import Annotated

from fastapi import Depends

from services.agents.calls.service import CallService
from services.agents.documents.service import DocumentService
from services.agents.domain import READ, WRITE
from services.agents.matching.service import MatchingService
from services.agents.network.service import NetworkService
from services.agents.relations.service import RelationService
from services.agents.secrets.service import SecretService
from services.agents.service import AgentService
from services.agents.tools.service import ToolService
from services.agents.versions.service import VersionService
from shared.door import requires
from shared.identity import Caller
from shared.web import from_state

Reader = Annotated[Caller, requires(READ)]
Writer = Annotated[Caller, requires(WRITE)]
Importer = Annotated[Caller, requires(WRITE, limit="bulk")]  # of a body of megabytes, into hundreds of relations
# For what all agents of the tenant may use: a scope narrowed to one of them opens none of it.
ToolReader = Annotated[Caller, requires(READ, is_narrowed=False)]
ToolWriter = Annotated[Caller, requires(WRITE, is_narrowed=False)]
Talker = Annotated[Caller, requires("chat:write")]  # chat's own caller: it demanded just this
Agents = Annotated[AgentService, Depends(from_state("agents"))]
Versions = Annotated[VersionService, Depends(from_state("versions"))]
Relations = Annotated[RelationService, Depends(from_state("relations"))]
Networks = Annotated[NetworkService, Depends(from_state("networks"))]
Matching = Annotated[MatchingService, Depends(from_state("matching"))]
Documents = Annotated[DocumentService, Depends(from_state("documents"))]
Secrets = Annotated[SecretService, Depends(from_state("secrets"))]
Tools = Annotated[ToolService, Depends(from_state("tools"))]
Calls = Annotated[CallService, Depends(from_state("calls"))]
