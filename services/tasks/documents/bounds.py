"""How much a document may be, and how long reading it may take: what is beyond is refused and never cut silently."""

from typing import Final

FILE_BYTES: Final = 256 * 2**20
PAGES: Final = 2_000
CHARS: Final = 10_000_000
"""That all blocks of what one process reads may have: an encyclopaedia's volume, and what is embedded within hours."""
UNZIPPED_BYTES: Final = 64 * 2**20
"""Of the parts of a DOCX that are read; pictures are not."""
ZIP_ENTRIES: Final = 10_000
DEPTH: Final = 200
"""Of elements, lists and objects within one another."""
CELL_CHARS: Final = 2**20
CHUNKS_BYTES: Final = 2**29
"""On the worker's disk: all chunks of a task, each with its metadata. The same file may be read a thousand times."""

OUTPUT_BYTES: Final = 8 * CHARS
MEMORY_BYTES: Final = 640 * 2**20
CPU_SECONDS: Final = 120
SECONDS: Final = 240.0
AT_ONCE: Final = 2
"""Processes that read in one worker: as many files lie on its disk."""
