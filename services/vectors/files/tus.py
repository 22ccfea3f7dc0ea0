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
# What else of tus and its extensions would be lost on an operation that does not take it, with what it asked for.
_WORDS: Final = (
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "Upload-Defer-Length",
    "Upload-Concat",
    "Upload-Checksum",
    "X-HTTP-Method-Override",
)

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


def require_version_if_told(told: str | None) -> None:
    """Of an operation that means the same without tus. Raises TusVersionUnsupported."""
    if told is not None:
        require_version(told)


def require_only(request: Request, *taken: str) -> None:
    """Raises Invalid for a header of tus that is not `taken`, and UnsupportedMediaType for a body in a coding."""
    for word in _WORDS:
        if word in request.headers and word not in taken:
            raise Invalid.field(f"header/{word.lower()}", "extra_forbidden", f"`{word}` is not taken by this request.")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedMediaType("A file is kept as it comes: send it without `Content-Encoding`.")


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
        if key in told:
            raise _refused(f"{key[:64]!r} is there twice.")
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
