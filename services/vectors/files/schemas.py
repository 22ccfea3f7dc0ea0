"""Files as callers see them."""

from pydantic import Field

from services.vectors.files.domain import FileStatus, StoredFile
from shared.schemas import ResponseModel, UtcDatetime


class FileRead(ResponseModel):
    """A file, without its content."""

    id: str
    name: str
    bytes: int | None = Field(description="null while it comes in one body and nobody has said how long it is")
    received: int = Field(description="how many bytes of it are kept already")
    media_type: str | None = Field(description="by its content; null until it is ready")
    status: FileStatus
    created_at: UtcDatetime
    expires_at: UtcDatetime | None = Field(description="when it is deleted unless it is ready by then; null once it is")

    @classmethod
    def of(cls, file: StoredFile) -> "FileRead":
        return cls(
            id=file.id,
            name=file.upload.name,
            bytes=file.bytes,
            received=file.received,
            media_type=file.media_type,
            status=file.status,
            created_at=file.upload.created_at,
            expires_at=None if file.is_ready else file.upload.expires_at,
        )
