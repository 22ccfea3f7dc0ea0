"""Files as OpenAI's clients read them."""

from typing import Literal

from pydantic import Field

from services.vectors.files.domain import StoredFile
from services.vectors.openai_files.judging import PURPOSES
from shared.schemas import ResponseModel


class OpenAIFile(ResponseModel):
    """A file that is whole."""

    id: str
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
            purpose=file.purpose or PURPOSES[0],
        )


class OpenAIFileList(ResponseModel):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[OpenAIFile]
    first_id: str | None
    last_id: str | None = Field(description="`after` of the page that follows")
    has_more: bool

    @classmethod
    def of(cls, files: list[StoredFile], limit: int) -> "OpenAIFileList":
        """Of `files`, which are one more than `limit` where others follow."""
        data = [OpenAIFile.of(file) for file in files[:limit]]
        ids = [file.id for file in data]
        return cls(data=data, first_id=next(iter(ids), None), last_id=ids[-1] if ids else None, has_more=len(files) > limit)


class OpenAIFileDeleted(ResponseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True
