"""The annotated types that vectors' routes ask for."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Path

from services.vectors.aliases.service import AliasService
from services.vectors.collections.service import CollectionService
from services.vectors.copies.service import CopyService
from services.vectors.domain import COLLECTION_NAME, MAX_ID_CHARS, EngineName
from services.vectors.embeddings.service import EmbeddingService
from services.vectors.files.service import FileService
from services.vectors.ports import VectorEngine
from services.vectors.records.listing import ListingService
from services.vectors.records.service import RecordService
from services.vectors.searching.service import SearchService
from services.vectors.usage.service import UsageService
from shared.door import held, requires
from shared.identity import Caller
from shared.schemas import Id, PathText

Reader = Annotated[Caller, requires("vectors:read")]
BulkReader = Annotated[Caller, requires("vectors:read", limit="bulk")]
Writer = Annotated[Caller, requires("vectors:write")]
# For routes whose body names the collection: a scope may be narrowed to one.
CollectionReader = Annotated[Caller, requires("vectors:read", body="collection", limit="read")]
# For many searches at once, of any collection: a scope narrowed to one opens none of it.
BatchReader = Annotated[Caller, requires("vectors:read", limit="bulk")]
CollectionWriter = Annotated[Caller, requires("vectors:write", body="collection")]
CollectionFiller = Annotated[Caller, requires("vectors:write", body="collection", limit="bulk")]
# For what takes a file, which counts as what takes many records.
FileWriter = Annotated[Caller, requires("vectors:write", limit="bulk")]
CollectionMaker = Annotated[Caller, requires("vectors:write", body="name")]

Name = Annotated[str, Path(pattern=COLLECTION_NAME, description="of the collection, or an alias of it")]
AliasName = Annotated[str, Path(pattern=COLLECTION_NAME, description="of the alias; no collection has it")]
RecordId = Annotated[PathText, Path(min_length=1, max_length=MAX_ID_CHARS, description="of the record")]
FileId = Annotated[Id, Path(description="of the file")]

Collections = Annotated[CollectionService, held("collections")]
Aliases = Annotated[AliasService, held("aliases")]
Records = Annotated[RecordService, held("records")]
Searches = Annotated[SearchService, held("searches")]
Listings = Annotated[ListingService, held("listing")]
Files = Annotated[FileService, held("files")]
Usages = Annotated[UsageService, held("usage")]
Engines = Annotated[Mapping[EngineName, VectorEngine], held("engines")]
Copies = Annotated[CopyService, held("copies")]
Embeddings = Annotated[EmbeddingService, held("embeddings")]
RerankedBy = Annotated[str | None, held("reranked_by")]
