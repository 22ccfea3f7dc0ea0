"""The vectors service: collections, records and search."""

from fastapi import FastAPI

from services.vectors.aliases.endpoints import router as aliases
from services.vectors.collections.endpoints import creating as creating_collections
from services.vectors.collections.endpoints import router as collections
from services.vectors.copies.endpoints import internal as copies
from services.vectors.embeddings.endpoints import router as embeddings
from services.vectors.embeddings.endpoints import tokens
from services.vectors.engines.endpoints import router as engines
from services.vectors.files.endpoints import creating as creating_files
from services.vectors.files.endpoints import pieces
from services.vectors.files.endpoints import router as files
from services.vectors.lifespan import lifespan
from services.vectors.records.endpoints import creating as creating_records
from services.vectors.records.endpoints import router as records
from services.vectors.searching.endpoints import batches
from services.vectors.searching.endpoints import router as searching
from services.vectors.settings import Settings
from services.vectors.usage.endpoints import router as usage
from shared.web import create_service


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app, from `settings` or the environment."""
    return create_service(
        "vectors",
        settings or Settings(),
        title="SutazAI vectors",
        description="Collections of vectors on Qdrant, ChromaDB or FAISS: one contract, one filter language.",
        tags={
            "vectors": "Collections, records, files, search and embeddings.",
        },
        lifespan=lifespan,
        routers=[
            creating_collections,
            creating_records,
            creating_files,
            collections,
            aliases,
            records,
            files,
            pieces,
            searching,
            batches,
            engines,
            usage,
            embeddings,
            tokens,
            copies,
        ],
    )
