"""The agents service: definitions of agents, versioned, in a graph."""

from fastapi import FastAPI

from services.agents.endpoints import creating, router
from services.agents.lifespan import lifespan
from services.agents.settings import Settings
from shared.web import create_service


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app, from `settings` or the environment."""
    return create_service(
        "agents",
        settings or Settings(),
        title="SutazAI agents",
        description="Agents: their instructions, their capabilities, the collections they know and the tools they use.",
        lifespan=lifespan,
        routers=[creating, router],
    )
