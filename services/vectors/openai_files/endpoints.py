"""`/files`, where OpenAI's clients look for them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from services.vectors.dependencies import FileId, Files, FileWriter, Reader, Writer
from services.vectors.errors import CollectionLost, QuotaExceeded
from services.vectors.files import tus
from services.vectors.files.content import CONTENT, AskedOf, answered
from services.vectors.files.errors import (
    FileEmpty,
    FileNotFound,
    FileUnfinished,
    FileUnreadable,
    PurposeUnsupported,
    RangeUnsatisfiable,
)
from services.vectors.files.multipart import AROUND_BYTES, FIELD, MEDIA_TYPE, OneFile
from services.vectors.files.route import FileRoute, body_of, told_bytes
from services.vectors.openai_files.judging import PURPOSE, PURPOSES, Purpose, judge_of
from services.vectors.openai_files.schemas import OpenAIFile, OpenAIFileDeleted
from services.vectors.paging import listed
from services.vectors.stores.dependencies import Attachments
from services.vectors.stores.errors import AttachmentUnderWay
from shared.door import Keyed, UnsupportedMediaType
from shared.errors import PreconditionFailed, TooLarge, UpstreamTimeout
from shared.openai import OPENAI, Listed, OpenAIRoute, openai_responses
from shared.schemas import Id


class OpenAIFileRoute(FileRoute):
    """The route of `POST /files`."""

    dialect = OPENAI


router = APIRouter(prefix="/api/v1/files", tags=["vectors"], route_class=OpenAIRoute)
creating = APIRouter(prefix="/api/v1/files", tags=["vectors"], route_class=OpenAIFileRoute)

_BODY: dict[str, Any] = {
    "type": "object",
    "properties": {
        FIELD: {
            "type": "string",
            "format": "binary",
            "minLength": 1,
            "maxLength": 100 * 2**20,
            "description": "the file, with its name: PDF, DOCX, HTML, Markdown, CSV, TSV, JSON or text by its content",
        },
        PURPOSE: {"type": "string", "enum": list(PURPOSES)},
    },
    "required": [FIELD, PURPOSE],
    "additionalProperties": False,
    "example": {PURPOSE: PURPOSES[0], FIELD: "Refunds are paid within 14 days."},
}


@creating.post(
    "",
    operation_id="vectors_create_openai_file",
    summary="Upload a file, as OpenAI's clients do",
    response_model=OpenAIFile,
    responses=openai_responses(
        QuotaExceeded, TooLarge, FileEmpty, FileUnreadable, PurposeUnsupported, UnsupportedMediaType
    ),
    openapi_extra={"requestBody": {"content": {MEDIA_TYPE: {"schema": _BODY}}, "required": True}},
)
async def create(request: Request, caller: FileWriter, files: Files, once: Keyed) -> OpenAIFile:
    """Keep a file to be attached to a vector store. It is a file of `/vectors/files`, and is never changed.

    `expires_after` is refused: a file stays until it is deleted.
    """
    tus.require_only(request)
    told = told_bytes(request, files.limits.file_bytes + AROUND_BYTES)
    content_type = request.headers.get("content-type", "")
    form = OneFile(content_type, body_of(request), files.limits.file_bytes, frozenset({PURPOSE}))
    file = await files.receive(caller, await form.opened(), told, once, judge_of(form.fields))
    return OpenAIFile.of(file)


@router.get("", operation_id="vectors_list_openai_files", summary="List files, as OpenAI's clients do")
async def list_page(
    caller: Reader,
    files: Files,
    after: Annotated[Id | None, Query(description="the last id of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    order: Annotated[Literal["asc", "desc"], Query(description="by age")] = "desc",
    purpose: Annotated[Purpose | None, Query(description="only files of this purpose")] = None,
) -> Listed[OpenAIFile]:
    """Files that are whole, by whatever door they came."""
    found = await files.list_ready(caller, after=after, limit=limit + 1, newest_first=order == "desc", purpose=purpose)
    return listed([OpenAIFile.of(file) for file in found], limit)


@router.get(
    "/{file_id}",
    operation_id="vectors_get_openai_file",
    summary="Read about a file, as OpenAI's clients do",
    response_model=OpenAIFile,
    responses=openai_responses(FileNotFound, FileUnfinished),
)
async def get(file_id: FileId, caller: Reader, files: Files) -> OpenAIFile:
    """What it is."""
    return OpenAIFile.of(await files.get_whole(caller, file_id))


@router.get(
    "/{file_id}/content",
    operation_id="vectors_get_openai_file_content",
    summary="Read a file, as OpenAI's clients do",
    response_class=Response,
    responses={**CONTENT, **openai_responses(FileNotFound, FileUnfinished, PreconditionFailed, RangeUnsatisfiable)},
)
async def content(file_id: FileId, caller: Reader, files: Files, asked: AskedOf) -> Response:
    """The bytes as they were uploaded, to be saved and not to be shown."""
    file = await files.get_whole(caller, file_id)
    return answered(file, lambda start, end: files.read(file, start, end), asked)


@router.delete(
    "/{file_id}",
    operation_id="vectors_delete_openai_file",
    summary="Delete a file, as OpenAI's clients do",
    response_model=OpenAIFileDeleted,
    responses=openai_responses(FileNotFound, CollectionLost, AttachmentUnderWay, UpstreamTimeout),
)
async def delete(file_id: FileId, caller: Writer, files: Files, attachments: Attachments) -> OpenAIFileDeleted:
    """Detach it from all vector stores, which takes `vectors:write` of each, and delete it.

    An ingestion of it that goes on is stopped first, which takes `tasks:write`.
    """
    await attachments.detach_everywhere(caller, file_id)
    await files.get(caller, file_id)
    await files.delete(caller, file_id)
    await attachments.detach_everywhere(caller, file_id)  # whoever attached it in between was before its end
    return OpenAIFileDeleted(id=file_id)
