"""Files on the worker's disk, which may be full."""

from pathlib import Path

from shared import disk
from shared.errors import StorageFull


def append(to: Path, piece: bytes | bytearray) -> None:
    """Write `piece` behind what the file `to` has; for a thread. Raises StorageFull for a full disk."""
    try:
        with to.open("ab") as file:
            file.write(piece)
    except OSError as error:
        if disk.is_full(error):
            raise StorageFull("tasks") from error
        raise
