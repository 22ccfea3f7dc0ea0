"""The annotated types that agents' routes ask for."""

from typing import Annotated

from fastapi import Depends

from services.agents.documents.service import DocumentService
from services.agents.domain import READ, WRITE
from services.agents.matching.service import MatchingService
from services.agents.network.service import NetworkService
from services.agents.relations.service import RelationService
from services.agents.service import AgentService
from services.agents.versions.service import VersionService
from shared.door import requires
from shared.identity import Caller
from shared.web import from_state

Reader = Annotated[Caller, requires(READ)]
Writer = Annotated[Caller, requires(WRITE)]
Importer = Annotated[Caller, requires(WRITE, limit="bulk")]  # of a body of megabytes, into hundreds of relations
Agents = Annotated[AgentService, Depends(from_state("agents"))]
Versions = Annotated[VersionService, Depends(from_state("versions"))]
Relations = Annotated[RelationService, Depends(from_state("relations"))]
Networks = Annotated[NetworkService, Depends(from_state("networks"))]
Matching = Annotated[MatchingService, Depends(from_state("matching"))]
Documents = Annotated[DocumentService, Depends(from_state("documents"))]
