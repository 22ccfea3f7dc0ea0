"""The agents service: definitions of agents, versioned, in a graph."""

from fastapi import FastAPI

from services.agents import endpoints
from services.agents.calls.endpoints import internal as calls
from services.agents.documents import endpoints as documents
from services.agents.lifespan import lifespan
from services.agents.matching import endpoints as matching
from services.agents.network import endpoints as network
from services.agents.openapi import endpoints as openapi
from services.agents.relations import endpoints as relations
from services.agents.secrets import endpoints as secrets
from services.agents.settings import Settings
from services.agents.tools import endpoints as tools
from services.agents.versions import endpoints as versions
from shared.web import create_service


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app, from `settings` or the environment."""
    return create_service(
        "agents",
        settings or Settings(),
        title="SutazAI agents",
        description="Agents: their instructions, their capabilities, the collections they know and the tools they use.",
        tags={
            "agents": "Agents, their versions and relations, their tools and secrets.",
        },
        lifespan=lifespan,
        routers=[
            secrets.router,  # before `/{id}`, which would take their names for ids
            openapi.router,
            tools.router,
            endpoints.creating,
            endpoints.router,
            endpoints.internal,
            versions.creating,
            versions.router,
            relations.router,
            network.router,
            matching.router,
            documents.creating,
            documents.router,
            calls,
        ],
    )
