"""The node as an app: one internal route, so that it is watched and stopped like every service."""

from fastapi import FastAPI

from services.vectors.adapters.node_protocol import NODE
from services.vectors.node.endpoints import internal
from services.vectors.node.lifespan import lifespan
from services.vectors.settings import NodeSettings
from shared.web import create_service


def create_app(settings: NodeSettings | None = None) -> FastAPI:
    """The app, from `settings` or the environment."""
    return create_service(
        NODE,
        settings or NodeSettings(),
        title="SutazAI vectors node",
        description="Keeps the catalogue and the engines that have files of their own, for all replicas of vectors.",
        lifespan=lifespan,
        routers=[internal],
    )
