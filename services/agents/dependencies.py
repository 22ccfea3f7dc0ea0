"""The annotated types that agents' routes ask for."""

from typing import Annotated

from services.agents.documents.service import DocumentService
from services.agents.domain import READ, WRITE
from services.agents.matching.service import MatchingService
from services.agents.network.service import NetworkService
from services.agents.relations.service import RelationService
from services.agents.service import AgentService
from services.agents.versions.service import VersionService
from shared.door import held, requires
from shared.identity import Caller

Reader = Annotated[Caller, requires(READ)]
Writer = Annotated[Caller, requires(WRITE)]
Importer = Annotated[Caller, requires(WRITE, limit="bulk")]  # of a body of megabytes, into hundreds of relations
Agents = Annotated[AgentService, held("agents")]
Versions = Annotated[VersionService, held("versions")]
Relations = Annotated[RelationService, held("relations")]
Networks = Annotated[NetworkService, held("networks")]
Matching = Annotated[MatchingService, held("matching")]
Documents = Annotated[DocumentService, held("documents")]
