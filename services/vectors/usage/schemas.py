"""Usage as callers see it."""

from pydantic import Field

from services.vectors.files.quota import FileLimits, FileUsage
from services.vectors.usage.domain import Quotas, Usage
from shared.schemas import ResponseModel


class Limits(ResponseModel):
    """What a tenant may have; null is no limit."""

    collections: int | None
    records: int | None
    bytes: int | None
    files: int | None
    file_bytes: int | None
    one_file_bytes: int = Field(description="of one file")

    @classmethod
    def of(cls, quotas: Quotas, files: FileLimits) -> "Limits":
        return cls(
            collections=quotas.collections or None,
            records=quotas.records or None,
            bytes=quotas.bytes or None,
            files=files.files or None,
            file_bytes=files.bytes or None,
            one_file_bytes=files.file_bytes,
        )


class TenantUsageRead(ResponseModel):
    """What the caller's tenant has."""

    collections: int
    records: int
    bytes: int = Field(
        description="of vectors, texts and metadata, without what engines add; where a collection has more than a "
        "hundred records, its texts and metadata are estimated by a hundred of them"
    )
    uncounted: int = Field(description="collections of which nothing is counted: their engine does not answer")
    files: int | None = Field(description="with uploads that are under way; null when the files cannot be counted now")
    file_bytes: int | None = Field(description="of those files, as many as each may come to")
    limits: Limits

    @classmethod
    def of(cls, usage: Usage, files: FileUsage | None, quotas: Quotas, limits: FileLimits) -> "TenantUsageRead":
        return cls(
            collections=usage.collections,
            records=usage.size.records,
            bytes=usage.size.bytes,
            uncounted=usage.uncounted,
            files=files and files.files,
            file_bytes=files and files.bytes,
            limits=Limits.of(quotas, limits),
        )
