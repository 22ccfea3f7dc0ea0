"""What vectors and its node need to know beyond what every service does."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from shared.settings import ClientSettings


class KeptSettings(ClientSettings):
    """What is kept in files: by vectors itself, or by a node of its own."""

    # Engines
    qdrant_url: str | None = Field(
        default=None,
        description="`http://…`: Qdrant's server, gRPC on port 6334; without it Qdrant Edge runs where the data is",
    )
    qdrant_api_key: SecretStr | None = Field(default=None, description="Qdrant's key, where the server asks for one")
    data_dir: Path = Field(
        default=Path("data"),
        description="where the catalogue, FAISS and Qdrant Edge keep their files; one process only, and none where "
        "`FAISS_URL` names another",
    )
    engine_timeout_seconds: float = Field(default=20.0, gt=0, le=120, description="for one call to an engine")
    faiss_threads: int = Field(default=2, ge=1, le=64, description="FAISS searches and writes at once")
    faiss_max_bytes: int = Field(
        default=2**30, ge=2**20, le=2**36, description="vectors of one FAISS collection, in memory; more is refused"
    )
    loaded_max_bytes: int = Field(
        default=2**31,
        ge=2**20,
        le=2**40,
        description="vectors in memory, of all FAISS collections and their graphs, and as much of Qdrant Edge's; what "
        "was longest unused makes room, and one that has more is there alone",
    )
    unload_after_seconds: float = Field(
        default=1800.0,
        ge=0,
        le=30 * 86_400,
        description="after so long without use a collection of FAISS or Qdrant Edge leaves memory, until it is used "
        "again; 0: only to make room",
    )


class NodeSettings(KeptSettings):
    """The node's. It is vectors to auth, and asks nothing of a model."""

    port: int = Field(default=10221, ge=1, le=65535, description="port that replicas of vectors ask")
    client_id: str = Field(default="vectors", pattern=r"^[a-z-]{1,32}$", description="the node is vectors to auth")


class Settings(KeptSettings):
    """Engines, the model of embeddings, and how much of either at once."""

    port: int = Field(default=10204, ge=1, le=65535, description="port to listen on")

    # Engines on servers
    chromadb_url: str = Field(description="`http://…`: ChromaDB's server")
    chromadb_tenant: SecretStr | None = Field(
        default=None,
        min_length=3,
        max_length=512,
        description="ChromaDB's tenant that has the collections, instead of the one whose name everybody knows; its "
        "server asks for nothing else, so who knows this name has them",
    )
    faiss_url: str | None = Field(
        default=None,
        description="`https://…`: the node that owns the data directory, so that vectors may have several replicas; "
        "without it this process owns it",
    )

    # What a tenant may have; 0 is no limit
    quota_collections: int = Field(
        default=1000, ge=0, le=10**6, description="collections of one tenant, and as many aliases; 0: any number"
    )
    quota_records: int = Field(
        default=0, ge=0, le=10**12, description="records of one tenant; 0: any number. A store counts all of its as new"
    )
    quota_bytes: int = Field(
        default=0,
        ge=0,
        le=2**50,
        description="of one tenant's vectors, texts and metadata, estimated; 0: any number",
    )

    # Files
    files_dir: Path | None = Field(
        default=None,
        description="where uploaded files are kept; `files` in `DATA_DIR` where it is not said. Replicas share it",
    )
    files_url: str | None = Field(
        default=None,
        pattern=r"^(|s3://[a-z0-9][a-z0-9.-]{1,62}(/[A-Za-z0-9._/-]*)?)$",
        description="`s3://bucket/prefix`: where uploaded files are kept instead of a folder",
    )
    files_s3_endpoint: str | None = Field(
        default=None, description="`https://…`: a server that speaks like S3; without it AWS' own"
    )
    files_s3_region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]{1,32}$", description="of the bucket")
    files_s3_key_id: str | None = Field(
        default=None,
        max_length=256,
        description="of the key that may list, read, put and delete there; without it AWS' own ways to find one",
    )
    files_s3_secret: SecretStr | None = Field(default=None, description="of that key")
    files_max_bytes: int = Field(default=100 * 2**20, ge=1, le=2**34, description="of one uploaded file")
    files_upload_seconds: int = Field(
        default=86_400, ge=60, le=30 * 86_400, description="which an upload has to become whole; then it is deleted"
    )
    files_timeout_seconds: float = Field(default=20.0, gt=0, le=120, description="for one MiB, written or read")
    quota_files: int = Field(
        default=1000, ge=0, le=10**6, description="files of one tenant, with uploads; 0: any number"
    )
    quota_file_bytes: int = Field(
        default=10 * 2**30, ge=0, le=2**50, description="of one tenant's files, with uploads; 0: any number"
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

    # Ingestions
    submit_seconds: float = Field(
        default=10.0, gt=0, le=60, description="for having tasks take or stop the ingestion of files of a vector store"
    )

    # Reordering
    rerank_url: str | None = Field(
        default=None,
        description="base of an API with `POST /rerank` as Cohere and Jina answer it; without it `rerank` is refused",
    )
    rerank_model: str = Field(default="", max_length=200, validate_default=True, description="asked for at that API")
    rerank_api_key: SecretStr | None = Field(default=None, description="of that API, where it asks for one")
    rerank_timeout_seconds: float = Field(
        default=15.0, gt=0, le=120, description="for reordering the results of one search"
    )

    @field_validator("faiss_url", "files_url", "files_s3_endpoint", "files_s3_key_id", "files_s3_secret", mode="before")
    @classmethod
    def _empty_is_none_too(cls, value: object) -> object:
        return value or None

    @field_validator("rerank_model")
    @classmethod
    def _reranker_has_a_name(cls, value: str, info: ValidationInfo) -> str:
        """Answers and `GET /vectors/engines` say who put results in order."""
        if info.data.get("rerank_url") and not value:
            raise PydanticCustomError("rerank_model", "RERANK_URL needs RERANK_MODEL")
        return value

    @field_validator("faiss_url")
    @classmethod
    def _node_proves_who_it_is(cls, value: str | None, info: ValidationInfo) -> str | None:
        """It is sent the tokens of callers."""
        if value and info.data.get("tls_authority_file") and not value.startswith("https://"):
            raise PydanticCustomError("faiss_url", "with TLS inside the node's address is https://…")
        return value
