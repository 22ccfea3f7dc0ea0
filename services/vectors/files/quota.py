"""How many files a tenant has, and whether another fits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from weakref import WeakValueDictionary

from services.vectors.errors import QuotaExceeded
from services.vectors.files.repository import FileRepository


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What a file and a tenant's files may have; a quota of 0 is no limit."""

    file_bytes: int
    """Of one file."""
    life: timedelta
    """How long an upload has to become whole."""
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class FileUsage:
    """What a tenant's files come to, with those that are not whole yet as they are to be."""

    files: int
    bytes: int


@dataclass(slots=True, weakref_slot=True)
class _Tenant:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    coming: dict[str, int] = field(default_factory=dict)


class FileQuota:
    """It is looked each time: a file costs more than a look. Two replicas may each let in what one of them could."""

    def __init__(self, files: FileRepository, limits: FileLimits) -> None:
        self._files = files
        self._limits = limits
        self._tenants: WeakValueDictionary[str, _Tenant] = WeakValueDictionary()

    async def usage(self, tenant_id: str) -> FileUsage:
        """Raises what the blobs raise."""
        sizes = await self._files.sizes(tenant_id)
        return FileUsage(len(sizes), sum(sizes.values()))

    @asynccontextmanager
    async def room(self, tenant_id: str, file_id: str, most_bytes: int) -> AsyncIterator[None]:
        """While a file of up to `most_bytes` comes in. Raises QuotaExceeded."""
        tenant = self._tenants.setdefault(tenant_id, _Tenant())
        if self._limits.files or self._limits.bytes:
            async with tenant.turn:
                self._require(await self._files.sizes(tenant_id) | tenant.coming | {file_id: most_bytes})
                tenant.coming[file_id] = most_bytes
        try:
            yield
        finally:
            tenant.coming.pop(file_id, None)

    def _require(self, sizes: dict[str, int]) -> None:
        if 0 < self._limits.files < len(sizes):
            raise QuotaExceeded("files", self._limits.files)
        if 0 < self._limits.bytes < sum(sizes.values()):
            raise QuotaExceeded("bytes of files", self._limits.bytes)
