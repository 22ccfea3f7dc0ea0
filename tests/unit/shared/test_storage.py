"""Free space: below the floor until clearly above it again, over all folders."""

import os
from types import SimpleNamespace

import pytest

from shared.errors import StorageFull
from shared.health import Finding
from shared.storage import Storage

MIB = 2**20


class Disks:
    """How much is free under which folder, in MiB."""

    def __init__(self, **free: int) -> None:
        self.free = {f"/{name}": mib for name, mib in free.items()}

    def statvfs(self, folder: str) -> SimpleNamespace:
        if folder not in self.free:
            raise FileNotFoundError(2, "No such file or directory", folder)
        return SimpleNamespace(f_bavail=self.free[folder] * MIB // 4096, f_frsize=4096)


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> Disks:
    disks = Disks(one=500, two=500)
    monkeypatch.setattr(os, "statvfs", disks.statvfs)
    return disks


async def test_it_is_full_below_the_floor_and_until_a_quarter_more_is_free(disks: Disks) -> None:
    storage = Storage(["/one", "/two"], 100)
    seen = []
    for free in (100, 99, 101, 124, 125, 101):
        disks.free["/two"] = free
        await storage._look()
        seen.append(storage.is_full)

    assert seen == [False, True, True, True, False, False]


async def test_what_is_full_is_refused_and_told(disks: Disks) -> None:
    storage = Storage(["/one", "/two"], 100)
    disks.free["/one"] = 7
    await storage._look()

    with pytest.raises(StorageFull):
        storage.require_room()
    with pytest.raises(Finding, match="7 MiB of disk are free, and writes are refused below 100"):
        await storage.check()


async def test_a_folder_that_is_gone_is_told_and_the_others_go_on(disks: Disks) -> None:
    storage = Storage(["/gone", "/two"], 100)
    disks.free["/two"] = 7
    await storage._look()
    assert storage.is_full

    disks.free["/two"] = 500
    await storage._look()
    assert not storage.is_full
    with pytest.raises(Finding) as found:
        await storage.check()
    assert "STORAGE_FOLDERS" in str(found.value.remedy)


async def test_without_folders_there_is_always_room() -> None:
    storage = Storage([], 100)

    async with storage.watched():
        storage.require_room()
        await storage.check()
