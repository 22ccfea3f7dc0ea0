"""`/vector_stores/{id}/files` and `/vector_stores/{id}/file_batches`."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.vectors.errors import AnswerTooLarge, CollectionLost, CollectionNotFound
from services.vectors.files.errors import FileNotFound, FileUnfinished
from services.vectors.paging import page_of
from services.vectors.stores.answers import content_of
from services.vectors.stores.attachment_schemas import (
    AttachmentDeleted,
    AttachmentRead,
    AttributesUpdate,
    BatchCreate,
    FileAttach,
    FileBatchRead,
)
from services.vectors.stores.dependencies import (
    AttachedId,
    Attacher,
    Attachments,
    Attribution,
    BatchId,
    Changer,
    FilesAsked,
    OpenAIClaimingRoute,
    Parts,
    StoreId,
    StoreReader,
)
from services.vectors.stores.domain import AttachmentStatus, Batch
from services.vectors.stores.errors import (
    AttachmentNotFound,
    AttachmentUnderWay,
    BatchNotFound,
    ChunksTooLarge,
    PlaceUnknown,
    StoreExpired,
    TooManyFiles,
)
from services.vectors.stores.search_schemas import FileContent
from shared.door import Keyed, stores_nothing, takes
from shared.errors import UpstreamTimeout
from shared.openai import Listed, OpenAIRoute, openai_responses

_PREFIX = "/api/v1/vector_stores/{vector_store_id}"
router = APIRouter(prefix=_PREFIX, tags=["vectors"], route_class=OpenAIRoute)
creating = APIRouter(prefix=_PREFIX, tags=["vectors"], route_class=OpenAIClaimingRoute)
_ATTACHING = openai_responses(
    CollectionNotFound,
    FileNotFound,
    FileUnfinished,
    AttachmentUnderWay,
    StoreExpired,
    ChunksTooLarge,
    TooManyFiles,
    UpstreamTimeout,
)
Status = Annotated[AttachmentStatus | None, Query(alias="filter", description="only files in this state")]


@creating.post(
    "/files",
    operation_id="vectors_attach_file",
    summary="Attach a file to a vector store",
    response_model=AttachmentRead,
    responses=_ATTACHING,
)
async def attach(
    vector_store_id: StoreId, body: FileAttach, caller: Attacher, attachments: Attachments, once: Keyed
) -> AttachmentRead:
    """Have a file ingested by a task `vectors.ingest` of the caller's; `status` follows that. Attached again, it is
    ingested anew, and what did not change is not embedded again."""
    return AttachmentRead.of(await attachments.attach(caller, vector_store_id, body, once), vector_store_id)


@router.get(
    "/files",
    operation_id="vectors_list_attached_files",
    summary="List the files of a vector store",
    response_model=Listed[AttachmentRead],
    responses=openai_responses(CollectionNotFound, PlaceUnknown),
)
async def list_page(
    vector_store_id: StoreId, caller: StoreReader, attachments: Attachments, span: FilesAsked, status: Status = None
) -> Listed[AttachmentRead]:
    """By when they were attached."""
    found = await attachments.list_page(caller, vector_store_id, span, status=status)
    return page_of([AttachmentRead.of(one, vector_store_id) for one in found], span)


@router.get(
    "/files/{file_id}",
    operation_id="vectors_get_attached_file",
    summary="Read about a file of a vector store",
    response_model=AttachmentRead,
    responses=openai_responses(CollectionNotFound, AttachmentNotFound),
)
async def get(
    vector_store_id: StoreId, file_id: AttachedId, caller: StoreReader, attachments: Attachments
) -> AttachmentRead:
    """How far its ingestion is, or why that failed."""
    return AttachmentRead.of(await attachments.get(caller, vector_store_id, file_id), vector_store_id)


@router.get(
    "/files/{file_id}/content",
    operation_id="vectors_get_attached_file_content",
    summary="Read what was ingested of a file",
    response_model=FileContent,
    responses=openai_responses(CollectionNotFound, CollectionLost, AttachmentNotFound, AnswerTooLarge, UpstreamTimeout),
)
async def content(vector_store_id: StoreId, file_id: AttachedId, caller: StoreReader, parts: Parts) -> Response:
    """Its chunks, in the order of the file; neighbours share a little of it."""
    return await content_of(await parts.read(caller, vector_store_id, file_id))


@router.post(
    "/files/{file_id}",
    operation_id="vectors_update_attached_file",
    summary="Change the attributes of a file",
    response_model=AttachmentRead,
    responses=openai_responses(
        CollectionNotFound, CollectionLost, AttachmentNotFound, AttachmentUnderWay, UpstreamTimeout
    ),
)
async def update(
    vector_store_id: StoreId, file_id: AttachedId, body: AttributesUpdate, caller: Changer, attributes: Attribution
) -> AttachmentRead:
    """In place of those it has, on each of its records. Broken off, a repetition goes on with it."""
    changed = await attributes.update(caller, vector_store_id, file_id, body.attributes)
    return AttachmentRead.of(changed, vector_store_id)


@router.delete(
    "/files/{file_id}",
    operation_id="vectors_detach_file",
    summary="Detach a file from a vector store",
    response_model=AttachmentDeleted,
    responses=openai_responses(
        CollectionNotFound, CollectionLost, AttachmentNotFound, AttachmentUnderWay, UpstreamTimeout
    ),
)
async def detach(
    vector_store_id: StoreId, file_id: AttachedId, caller: Changer, attachments: Attachments
) -> AttachmentDeleted:
    """Take away what was ingested of it; the file itself stays. An ingestion that goes on is stopped first, which takes
    `tasks:write`."""
    await attachments.detach(caller, vector_store_id, file_id)
    return AttachmentDeleted(id=file_id)


@creating.post(
    "/file_batches",
    operation_id="vectors_create_file_batch",
    summary="Attach many files to a vector store",
    response_model=FileBatchRead,
    responses=_ATTACHING,
)
@takes(kib=8192, values=20_000, texts=20_000)
async def create_batch(
    vector_store_id: StoreId, body: BatchCreate, caller: Attacher, attachments: Attachments, once: Keyed
) -> FileBatchRead:
    """Up to 500 files, each ingested by a task of its own; all are attached or none."""
    batch_id = await attachments.attach_batch(caller, vector_store_id, body.wanted, once)
    return _read(batch_id, await attachments.find_batch(caller, vector_store_id, batch_id), vector_store_id)


@router.get(
    "/file_batches/{batch_id}",
    operation_id="vectors_get_file_batch",
    summary="Read about a batch of files",
    response_model=FileBatchRead,
    responses=openai_responses(CollectionNotFound, BatchNotFound),
)
async def get_batch(
    vector_store_id: StoreId, batch_id: BatchId, caller: StoreReader, attachments: Attachments
) -> FileBatchRead:
    """How far its files are, but for those that were attached anew since."""
    return _read(batch_id, await attachments.find_batch(caller, vector_store_id, batch_id), vector_store_id)


@router.post(
    "/file_batches/{batch_id}/cancel",
    operation_id="vectors_cancel_file_batch",
    summary="Cancel a batch of files",
    response_model=FileBatchRead,
    responses=openai_responses(CollectionNotFound, BatchNotFound, AttachmentUnderWay, UpstreamTimeout),
)
@stores_nothing
async def cancel_batch(
    vector_store_id: StoreId, batch_id: BatchId, caller: Attacher, attachments: Attachments
) -> FileBatchRead:
    """Have the ingestions stop that go on; what is ingested stays."""
    return _read(batch_id, await attachments.cancel_batch(caller, vector_store_id, batch_id), vector_store_id)


@router.get(
    "/file_batches/{batch_id}/files",
    operation_id="vectors_list_file_batch",
    summary="List the files of a batch",
    response_model=Listed[AttachmentRead],
    responses=openai_responses(CollectionNotFound, BatchNotFound, PlaceUnknown),
)
async def list_batch(
    vector_store_id: StoreId,
    batch_id: BatchId,
    caller: StoreReader,
    attachments: Attachments,
    span: FilesAsked,
    status: Status = None,
) -> Listed[AttachmentRead]:
    """By when they were attached."""
    found = await attachments.list_page(caller, vector_store_id, span, status=status, batch_id=batch_id)
    return page_of([AttachmentRead.of(one, vector_store_id) for one in found], span)


def _read(batch_id: str, batch: Batch, name: str) -> FileBatchRead:
    return FileBatchRead.of(batch_id, batch.created_at.timestamp(), batch.counts, name)
