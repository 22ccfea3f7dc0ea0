"""The annotated types that agents' routes ask for."""

from typing import Annotated

from services.agents.calls.service import CallService
from services.agents.documents.service import DocumentService
from services.agents.domain import READ, WRITE
from services.agents.matching.service import MatchingService
from services.agents.network.service import NetworkService
from services.agents.openapi.service import OpenApiService
from services.agents.relations.service import RelationService
from services.agents.secrets.service import SecretService
from services.agents.service import AgentService
from services.agents.tools.service import ToolService
from services.agents.versions.service import VersionService
from shared.door import held, requires
from shared.identity import Caller

Reader = Annotated[Caller, requires(READ)]
Writer = Annotated[Caller, requires(WRITE)]
Importer = Annotated[Caller, requires(WRITE, limit="bulk")]  # of a body of megabytes, into hundreds of relations
# For what all agents of the tenant may use: a scope narrowed to one of them opens none of it.
ToolReader = Annotated[Caller, requires(READ, is_narrowed=False)]
ToolWriter = Annotated[Caller, requires(WRITE, is_narrowed=False)]
ToolImporter = Annotated[Caller, requires(WRITE, limit="bulk", is_narrowed=False)]  # of a document of megabytes
Talker = Annotated[Caller, requires("chat:write")]  # chat's own caller: it demanded just this
Agents = Annotated[AgentService, held("agents")]
Versions = Annotated[VersionService, held("versions")]
Relations = Annotated[RelationService, held("relations")]
Networks = Annotated[NetworkService, held("networks")]
Matching = Annotated[MatchingService, held("matching")]
Documents = Annotated[DocumentService, held("documents")]
Secrets = Annotated[SecretService, held("secrets")]
Tools = Annotated[ToolService, held("tools")]
OpenApi = Annotated[OpenApiService, held("openapi")]
Calls = Annotated[CallService, held("calls")]
