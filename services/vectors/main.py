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
from services.vectors.openai_files.endpoints import creating as creating_openai_files
from services.vectors.openai_files.endpoints import router as openai_files
from services.vectors.records.endpoints import creating as creating_records
from services.vectors.records.endpoints import router as records
from services.vectors.searching.endpoints import batches
from services.vectors.searching.endpoints import router as searching
from services.vectors.settings import Settings
from services.vectors.stores.attachment_endpoints import creating as attaching
from services.vectors.stores.attachment_endpoints import router as attachments
from services.vectors.stores.endpoints import creating as creating_stores
from services.vectors.stores.endpoints import router as stores
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
            creating_openai_files,
            openai_files,
            creating_stores,
            stores,
            attaching,
            attachments,
            searching,
            batches,
            engines,
            usage,
            embeddings,
            tokens,
            copies,
        ],
    )
