"""Uploads in pieces as tus 1.0.0 has them, so that its clients work as they are; https://tus.io/protocols/resumable-upload"""

import base64
import binascii
from email.utils import format_datetime
from typing import Annotated, Final

from fastapi import Header, Request, Response

from services.vectors.files.domain import MAX_FILE_NAME_CHARS, StoredFile
from services.vectors.files.errors import TusVersionUnsupported
from services.vectors.files.multipart import named
from shared.door import UnsupportedMediaType
from shared.errors import Invalid

VERSION: Final = "1.0.0"
PIECE: Final = "application/offset+octet-stream"
_MAX_OFFSET: Final = 2**50
_NAME: Final = "filename"
# What clients tell beside the name of a file; who made it knows, and it is not what a file is by.
_TOLD_TOO: Final = frozenset({"name", "filetype", "type", "relativePath", "lastModified"})

TusResumable = Annotated[str | None, Header(max_length=16, description=f"the version of the protocol, {VERSION}")]
UploadLength = Annotated[
    int | None,
    Header(
        ge=0, le=_MAX_OFFSET, description="of a file that is sent in pieces, instead of a form: how long it will be"
    ),
]
UploadMetadata = Annotated[
    str | None,
    Header(max_length=4 * MAX_FILE_NAME_CHARS + 4_096, description=f"`{_NAME}` and the file's name in Base64"),
]
UploadOffset = Annotated[int, Header(ge=0, le=_MAX_OFFSET, description="where the piece begins")]


def require_version(told: str | None) -> None:
    """Raises TusVersionUnsupported."""
    if told != VERSION:
        raise TusVersionUnsupported


def require_piece(request: Request) -> None:
    """Raises UnsupportedMediaType."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != PIECE:
        raise UnsupportedMediaType(f"The body of this operation is {PIECE}.")


def require_no_body(request: Request) -> None:
    """Raises Invalid for an upload that would begin with its first piece."""
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        raise Invalid("With `Upload-Length` there is no body: the first piece follows with PATCH.")


def name_in(metadata: str | None) -> str:
    """The name of the file, from `Upload-Metadata`. Raises Invalid, also for what nobody would read."""
    told: dict[str, bytes] = {}
    for pair in (metadata or "").split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            told[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _refused("The value of each pair is Base64.") from error
    if unknown := told.keys() - _TOLD_TOO - {_NAME, ""}:
        raise _refused(f"{min(unknown)[:64]!r} is not known here.")
    if _NAME not in told:
        raise _refused(f"{_NAME!r} is missing.")
    return named(told[_NAME], "header/upload-metadata")


def tell(response: Response, file: StoredFile) -> None:
    """How far the upload is."""
    response.headers["Tus-Resumable"] = VERSION
    response.headers["Upload-Offset"] = str(file.received)
    if file.bytes is not None:
        response.headers["Upload-Length"] = str(file.bytes)
    if not file.is_ready:
        response.headers["Upload-Expires"] = format_datetime(file.upload.expires_at, usegmt=True)


def _refused(detail: str) -> Invalid:
    return Invalid.field("header/upload-metadata", "upload_metadata", detail)
