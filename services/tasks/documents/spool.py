"""What a task makes on its way lies on the disk, in a folder of its own, and goes with it."""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from services.tasks.documents.bounds import CHUNKS_BYTES
from services.tasks.documents.failures import TooLarge
from services.tasks.errors import PermanentFailure

_PREFIX: Final = "sutazai-documents-"
_LEFT_BEHIND_SECONDS: Final = 3600  # longer than an attempt may last: a worker that was killed took nothing away


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder through the block, below `TMPDIR`; takes away what killed workers left there. For a thread."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as made:
        yield Path(made)


def _sweep(parent: Path) -> None:
    too_old = time.time() - _LEFT_BEHIND_SECONDS
    for one in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another worker takes it away as well
            if one.stat().st_mtime < too_old:
                shutil.rmtree(one, ignore_errors=True)


class Spool:
    """Records in a file: written behind one another, and read from the first on. Its methods are for a thread."""

    def __init__(self, path: Path, most_bytes: int = CHUNKS_BYTES) -> None:
        self._path = path
        self.count = 0
        self._most = self._left = most_bytes

    def append(self, records: Iterable[Any]) -> None:
        """Raises PermanentFailure beyond what the file may have."""
        with self._path.open("ab") as file:
            for record in records:
                line = orjson.dumps(record) + b"\n"
                self._left -= len(line)
                if self._left < 0:
                    detail = f"The chunks of all documents, with their metadata, have more than {self._most} bytes."
                    raise PermanentFailure(TooLarge.code, detail)
                file.write(line)
                self.count += 1

    def batches(self, size: int) -> Iterator[list[Any]]:
        """All records, `size` at once. Nothing is appended meanwhile."""
        if not self.count:
            return
        with self._path.open("rb") as file:
            while some := [orjson.loads(line) for line in islice(file, size)]:
                yield some
