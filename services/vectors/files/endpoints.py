"""`/vectors/files`."""

from typing import Any

from fastapi import APIRouter, Request, Response

from services.vectors.dependencies import FileId, Files, FileWriter, Reader, Writer
from services.vectors.errors import QuotaExceeded
from services.vectors.files import tus
from services.vectors.files.content import CONTENT, AskedOf, answered
from services.vectors.files.domain import StoredFile
from services.vectors.files.errors import (
    FileNotFound,
    FileUnfinished,
    RangeUnsatisfiable,
    TusVersionUnsupported,
    UploadConflict,
)
from services.vectors.files.multipart import AROUND_BYTES, FIELD, MEDIA_TYPE, OneFile
from services.vectors.files.route import FileRoute, PieceRoute, body_of, told_bytes
from services.vectors.files.schemas import FileRead
from shared.door import GuardedRoute, Keyed, UnsupportedMediaType
from shared.errors import PreconditionFailed, TooLarge, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe, etag, require_match

router = APIRouter(prefix="/api/v1/vectors/files", tags=["vectors"], route_class=GuardedRoute)
pieces = APIRouter(prefix="/api/v1/vectors/files", tags=["vectors"], route_class=PieceRoute)
creating = APIRouter(prefix="/api/v1/vectors/files", tags=["vectors"], route_class=FileRoute)

_BODY: dict[str, Any] = {
    "type": "object",
    "properties": {
        FIELD: {
            "type": "string",
            "format": "binary",
            "maxLength": 100 * 2**20,
            "description": "the file, with its name",
        }
    },
    "required": [FIELD],
    "additionalProperties": False,
}
_PIECE: dict[str, Any] = {"type": "string", "format": "binary", "maxLength": 100 * 2**20}
_OFFSET: dict[str, Any] = {
    "headers": {"Upload-Offset": {"description": "where the next piece begins", "schema": {"type": "integer"}}}
}


@creating.post(
    "",
    operation_id="vectors_upload_file",
    summary="Upload a file",
    status_code=201,
    response_model=FileRead,
    responses=responses(QuotaExceeded, TooLarge, TusVersionUnsupported),
    openapi_extra={"requestBody": {"content": {MEDIA_TYPE: {"schema": _BODY}}}},
)
async def upload(
    request: Request,
    caller: FileWriter,
    files: Files,
    response: Response,
    once: Keyed,
    upload_length: tus.UploadLength = None,
    upload_metadata: tus.UploadMetadata = None,
    tus_resumable: tus.TusResumable = None,
) -> FileRead:
    """Keep a file, in the form's field `file`, for `vectors.ingest`. What it is is told by its content.

    One that is large, or sent over a bad line, comes in pieces: with `Upload-Length` and its name in `Upload-Metadata`
    there is no body, and `PATCH` of what `Location` names sends it, as tus 1.0.0 has it.
    """
    if upload_length is not None:
        tus.require_only(request, "Tus-Resumable", "Upload-Length", "Upload-Metadata")
        tus.require_version(tus_resumable)
        tus.require_no_body(request)
        file = await files.begin(caller, tus.name_in(upload_metadata), upload_length, once)
        _describe(response, file)
        tus.tell(response, file)
        return FileRead.of(file)
    tus.require_only(request)
    told = told_bytes(request, files.limits.file_bytes + AROUND_BYTES)
    form = OneFile(request.headers.get("content-type", ""), body_of(request), files.limits.file_bytes)
    file = await files.receive(caller, await form.opened(), told, once)
    _describe(response, file)
    return FileRead.of(file)


@router.get("", operation_id="vectors_list_files", summary="List files", response_model=Page[FileRead])
async def list_page(caller: Reader, files: Files, limit: Limit = 20, cursor: Cursor = None) -> Page[FileRead]:
    """Oldest first, but for those that were made with an `Idempotency-Key`, with the uploads that are under way."""
    found = await files.list_page(caller, limit, cursor)
    return found.page(FileRead.of)


@router.get(
    "/{file_id}",
    operation_id="vectors_get_file",
    summary="Read about a file",
    response_model=FileRead,
    responses=responses(FileNotFound),
)
async def get(file_id: FileId, caller: Reader, files: Files, response: Response) -> FileRead:
    """What it is, and how much of it is there."""
    file = await files.get(caller, file_id)
    response.headers["ETag"] = _tag(file)
    return FileRead.of(file)


@router.head(
    "/{file_id}",
    operation_id="vectors_head_file",
    summary="Ask how far an upload is",
    response_class=Response,
    responses={200: _OFFSET, **responses(FileNotFound, TusVersionUnsupported)},
)
async def head(file_id: FileId, caller: Reader, files: Files, tus_resumable: tus.TusResumable = None) -> Response:
    """`Upload-Offset` is where the next piece begins."""
    tus.require_version_if_told(tus_resumable)
    file = await files.get(caller, file_id)
    response = Response(headers={"Cache-Control": "no-store", "ETag": _tag(file)})
    tus.tell(response, file)
    return response


@pieces.patch(
    "/{file_id}",
    operation_id="vectors_append_to_file",
    summary="Send a piece of a file",
    status_code=204,
    responses={
        204: _OFFSET,
        **responses(
            FileNotFound, UploadConflict, TooLarge, UnsupportedMediaType, PreconditionFailed, TusVersionUnsupported
        ),
    },
    openapi_extra={"requestBody": {"content": {tus.PIECE: {"schema": _PIECE}}}},
)
async def append(
    request: Request,
    file_id: FileId,
    caller: FileWriter,
    files: Files,
    upload_offset: tus.UploadOffset,
    tus_resumable: tus.TusResumable = None,
    if_match: IfMatch = None,
) -> Response:
    """Send what follows. What has come is kept when the line breaks, and the file is ready with its last byte."""
    tus.require_only(request, "Tus-Resumable", "Upload-Offset")
    tus.require_version(tus_resumable)
    tus.require_piece(request)
    if if_match is not None:
        require_match(if_match, _tag(await files.get(caller, file_id)))
    told = told_bytes(request, files.limits.file_bytes)
    file = await files.append(caller, file_id, upload_offset, body_of(request), told)
    response = Response(status_code=204, headers={"ETag": _tag(file)})
    tus.tell(response, file)
    return response


@router.head(
    "/{file_id}/content",
    operation_id="vectors_head_file_content",
    summary="Ask how long a file is",
    response_class=Response,
    responses=responses(FileNotFound, FileUnfinished, PreconditionFailed, RangeUnsatisfiable),
)
@router.get(
    "/{file_id}/content",
    operation_id="vectors_get_file_content",
    summary="Read a file",
    response_class=Response,
    responses={**CONTENT, **responses(FileNotFound, FileUnfinished, PreconditionFailed, RangeUnsatisfiable)},
)
async def content(file_id: FileId, caller: Reader, files: Files, asked: AskedOf) -> Response:
    """The bytes as they were uploaded, to be saved and not to be shown."""
    file = await files.get_whole(caller, file_id)
    return answered(file, lambda start, end: files.read(file, start, end), asked)


@router.delete(
    "/{file_id}",
    operation_id="vectors_delete_file",
    summary="Delete a file",
    status_code=204,
    responses=responses(FileNotFound, PreconditionFailed, TusVersionUnsupported),
)
async def delete(
    file_id: FileId,
    caller: Writer,
    files: Files,
    if_match: IfMatch = None,
    tus_resumable: tus.TusResumable = None,
) -> None:
    """Delete it, or give up its upload; what was ingested from it stays."""
    tus.require_version_if_told(tus_resumable)
    if if_match is not None:
        require_match(if_match, _tag(await files.get(caller, file_id)))
    await files.delete(caller, file_id)


def _describe(response: Response, file: StoredFile) -> None:
    describe(response, location=f"/api/v1/vectors/files/{file.id}")
    response.headers["ETag"] = _tag(file)


def _tag(file: StoredFile) -> str:
    """Another with each byte that comes, and for each file that was made under one key."""
    return etag(f"{file.upload.place}-{file.received}-{file.status.value}")
