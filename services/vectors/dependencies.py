"""The annotated types that vectors' routes ask for."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Path

from services.vectors.collections.service import CollectionService
from services.vectors.domain import COLLECTION_NAME, MAX_ID_CHARS, EngineName
from services.vectors.embeddings.service import EmbeddingService
from services.vectors.ports import VectorEngine
from services.vectors.records.service import RecordService
from shared.door import requires
from shared.identity import Caller
from shared.schemas import PathText
from shared.web import from_state

Reader = Annotated[Caller, requires("vectors:read")]
BulkReader = Annotated[Caller, requires("vectors:read", limit="bulk")]
Writer = Annotated[Caller, requires("vectors:write")]
# For routes whose body names the collection: a scope may be narrowed to one.
CollectionReader = Annotated[Caller, requires("vectors:read", body="collection", limit="read")]
CollectionWriter = Annotated[Caller, requires("vectors:write", body="collection")]
CollectionFiller = Annotated[Caller, requires("vectors:write", body="collection", limit="bulk")]
CollectionMaker = Annotated[Caller, requires("vectors:write", body="name")]

Name = Annotated[str, Path(pattern=COLLECTION_NAME, description="of the collection")]
RecordId = Annotated[PathText, Path(min_length=1, max_length=MAX_ID_CHARS, description="of the record")]

Collections = Annotated[CollectionService, Depends(from_state("collections"))]
Records = Annotated[RecordService, Depends(from_state("records"))]
Engines = Annotated[Mapping[EngineName, VectorEngine], Depends(from_state("engines"))]
Embeddings = Annotated[EmbeddingService, Depends(from_state("embeddings"))]
