"""The vectors service: collections, records and search."""

from fastapi import FastAPI

from services.vectors.endpoints import creating, router, storing
from services.vectors.lifespan import lifespan
from services.vectors.settings import Settings
from shared.web import create_service


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app, from `settings` or the environment."""
    return create_service(
        "vectors",
        settings or Settings(),
        title="SutazAI vectors",
        description="Collections of vectors on Qdrant, ChromaDB or FAISS: one contract, one filter language.",
        lifespan=lifespan,
        routers=[creating, storing, router],
    )
