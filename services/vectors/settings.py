"""What vectors needs to know beyond what every service does."""

from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from shared.settings import ClientSettings


class Settings(ClientSettings):
    """Engines, the model of embeddings, and how much of either at once."""

    port: int = Field(default=10204, ge=1, le=65535, description="port to listen on")

    # Engines
    chromadb_url: str = Field(description="`http://…`: ChromaDB's server")
    chromadb_tenant: SecretStr | None = Field(
        default=None,
        min_length=3,
        max_length=512,
        description="ChromaDB's tenant that has the collections, instead of the one whose name everybody knows; its "
        "server asks for nothing else, so who knows this name has them",
    )
    qdrant_url: str | None = Field(
        default=None, description="`http://…`: Qdrant's server, gRPC on port 6334; without it Qdrant Edge runs here"
    )
    qdrant_api_key: SecretStr | None = Field(default=None, description="Qdrant's key, where the server asks for one")
    faiss_url: None = Field(default=None, description="refused: FAISS runs in this process only, so there is one of it")
    data_dir: Path = Field(
        default=Path("data"),
        description="where the catalogue and the engines of this process keep their files; one process only",
    )
    engine_timeout_seconds: float = Field(default=20.0, gt=0, le=120, description="for one call to an engine")
    faiss_threads: int = Field(default=2, ge=1, le=64, description="FAISS searches and writes at once")
    faiss_max_bytes: int = Field(
        default=2**30, ge=2**20, le=2**36, description="vectors of one FAISS collection, in memory; more is refused"
    )

    # What a tenant may have; 0 is no limit
    quota_collections: int = Field(default=1000, ge=0, le=10**6, description="collections of one tenant; 0: any number")
    quota_records: int = Field(
        default=0, ge=0, le=10**12, description="records of one tenant; 0: any number. A store counts all of its as new"
    )
    quota_bytes: int = Field(
        default=0,
        ge=0,
        le=2**50,
        description="of one tenant's vectors, texts and metadata, estimated; 0: any number",
    )

    # Embeddings
    embeddings_url: str | None = Field(
        default=None, description="base of an OpenAI-compatible API; without it the built-in model runs here"
    )
    embeddings_model: str = Field(default="multilingual-e5-small", max_length=200, description="asked for at that API")
    embeddings_api_key: SecretStr | None = Field(default=None, description="of that API, where it asks for one")
    embeddings_dimension: int = Field(default=384, ge=1, le=4096, description="of that model's vectors")
    embeddings_window_tokens: int = Field(
        default=512,
        ge=32,
        le=10**6,
        description="what that model reads at once; a longer text is embedded in windows, whose vectors are averaged",
    )
    embeddings_query_prefix: str = Field(default="", max_length=200, description="put before queries for that model")
    embeddings_passage_prefix: str = Field(default="", max_length=200, description="put before passages for that model")
    embeddings_threads: int = Field(default=2, ge=1, le=64, description="of the built-in model, for passages")
    embeddings_timeout_seconds: float = Field(
        default=50.0, gt=0, le=300, description="for all texts of one request; what is done is kept for its repetition"
    )
    embeddings_cached: int = Field(default=4096, ge=0, le=10**6, description="vectors of recent texts kept in memory")

    @field_validator("faiss_url", mode="before")
    @classmethod
    def _there_is_no_faiss_server(cls, value: object) -> None:
        if value:
            raise PydanticCustomError(
                "faiss_url", "FAISS runs in the vectors process and nowhere else: leave FAISS_URL out"
            )
