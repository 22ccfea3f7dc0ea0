"""The file that a graph is kept in, beside the records: what comes back into memory has it in a second.

Nobody relies on it. It has a checksum, since FAISS follows whatever links it is given, and appears under its name when
it is whole and on the disk. It may be older than the records: each vector that has a place in it has left a mark there,
and one whose mark is another has none.
"""

import hashlib
import json
import logging
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from services.vectors.adapters.faiss_records import Slots, unfinished

faiss: Any = _faiss  # its annotations are those of the C++ wrapper, not of the Python layer over it

Marks64 = NDArray[np.uint64]

_FORMAT: Final = 1
_DIGEST_BYTES: Final = 32
_HEAD_BYTES: Final = 1024
_WRITTEN_AT_ONCE: Final = 2**20
_SPARED: Final = 4  # times its size has to be free on the disk, which records need more
_log = logging.getLogger("vectors.faiss")


class Kind(NamedTuple):
    """What fits into a collection."""

    dimension: int
    is_l2: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file says, but for the links."""

    path: Path
    links_at: int
    effort: int
    slots: Slots
    """Of each point, as it was when it was placed."""
    marks: Marks64
    """Of the vector of each point."""
    places: NDArray[np.int64]
    """Of each slot the last point that was placed there; -1 where none was."""

    def links(self) -> Any:
        """FAISS' index. Raises OSError, RuntimeError."""
        with self.path.open("rb") as file:
            file.seek(self.links_at)
            return faiss.read_index(faiss.PyCallbackIOReader(file.read))

    def points_of(self, slots: Slots) -> NDArray[np.int64]:
        """Their `places`; -1 for those that came later."""
        found = np.full(len(slots), -1, dtype=np.int64)
        known = slots < len(self.places)
        found[known] = self.places[slots[known]]
        return found


def marks_of(vectors: NDArray[np.float32]) -> Marks64:
    """The same in every process; of two vectors that differ the same once in 2^64."""
    digests = b"".join(hashlib.blake2b(vector, digest_size=8).digest() for vector in np.ascontiguousarray(vectors))
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64, copy=False)


def write(path: Path, links: Any, slots: Slots, marks: Marks64, effort: int) -> None:
    """The file, whole and on the disk, but under the name of one that is `unfinished`. Raises OSError."""
    least = _SPARED * int(links.ntotal) * (2 * int(links.d) + 16)
    if shutil.disk_usage(path.parent).free < least:
        raise OSError(ENOSPC, os.strerror(ENOSPC), str(path))
    head = {
        "format": _FORMAT,
        "faiss": faiss.__version__,
        "dimension": int(links.d),
        "is_l2": int(links.metric_type) == faiss.METRIC_L2,
        "points": len(slots),
        "effort": effort,
    }
    try:
        with unfinished(path).open("w+b") as file:
            file.write(bytes(_DIGEST_BYTES))
            file.write(json.dumps(head).encode() + b"\n")
            file.write(slots.astype("<i8").tobytes() + marks.astype("<u8").tobytes())
            faiss.write_index(links, faiss.PyCallbackIOWriter(file.write, _WRITTEN_AT_ONCE))
            digest = _digest(file)
            file.seek(0)
            file.write(digest)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            unfinished(path).unlink(missing_ok=True)
        raise


def read(path: Path, kind: Kind) -> Kept | None:
    """None where there is none, or it is of no use, which deletes it. Blocking: reads all of the file."""
    try:
        unfinished(path).unlink(missing_ok=True)  # of a process that was killed
        if not path.exists():
            return None
        with path.open("rb") as file:
            kept = _read(file, path, kind)
        if kept is None:
            _log.warning("a kept graph is of no use", extra={"fields": {"collection": path.stem}})
            path.unlink()
    except OSError as error:
        _log.warning("a kept graph is not read", extra={"fields": {"collection": path.stem, "cause": repr(error)}})
        return None
    return kept


def _read(file: IO[bytes], path: Path, kind: Kind) -> Kept | None:
    if file.read(_DIGEST_BYTES) != _digest(file):
        return None
    file.seek(_DIGEST_BYTES)
    head = json.loads(file.readline(_HEAD_BYTES))
    made_by = (_FORMAT, faiss.__version__, kind.dimension, kind.is_l2)
    if (head["format"], head["faiss"], head["dimension"], head["is_l2"]) != made_by:
        return None
    points = int(head["points"])
    slots, marks = (np.frombuffer(file.read(8 * points), dtype=dtype) for dtype in ("<i8", "<u8"))
    places = np.full(slots.max(initial=-1) + 1, -1, dtype=np.int64)
    places[slots] = np.arange(points)
    return Kept(path, file.tell(), int(head["effort"]), slots.astype(np.int64), marks.astype(np.uint64), places)


def _digest(file: IO[bytes]) -> bytes:
    """Of all that comes after it in the file."""
    file.seek(_DIGEST_BYTES)
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)).digest()  # type: ignore[arg-type]
