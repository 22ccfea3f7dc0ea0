"""Files as OpenAI's clients read them."""

from typing import Literal

from pydantic import Field

from services.vectors.files.domain import StoredFile
from services.vectors.paging import Identified
from shared.schemas import ResponseModel


class OpenAIFile(Identified):
    """A file that is whole."""

    object: Literal["file"] = "file"
    bytes: int
    created_at: int = Field(description="in seconds since 1970")
    expires_at: int | None = Field(default=None, description="null: a file stays until it is deleted")
    filename: str
    purpose: str = Field(description="as it was said, `assistants` where the file came by `/vectors/files`")
    status: Literal["processed"] = "processed"
    status_details: str | None = None

    @classmethod
    def of(cls, file: StoredFile) -> "OpenAIFile":
        return cls(
            id=file.id,
            bytes=file.received,
            created_at=int(file.upload.created_at.timestamp()),
            filename=file.upload.name,
            purpose=file.purpose,
        )


class OpenAIFileDeleted(ResponseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True
