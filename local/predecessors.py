"""How a server says, as it ends, that the process before it still holds what it needs.

Who is killed is gone at once; a port or a piece of memory that its children share goes with the last of them.
"""

import re
from collections.abc import Sequence
from typing import Final

_COMPLAINTS: Final = re.compile(
    r"address (?:is )?already in use|eaddrinuse|addrinuse"
    r"|pre-existing shared memory block .* is still in use"  # PostgreSQL, of a child whose server was killed
    r'|lock file "postmaster\.pid" already exists',  # and of a server that is not gone yet
    re.IGNORECASE,
)


def complaint(words: Sequence[str]) -> str:
    """The last of a log's lines that says so; empty where none does."""
    return next((line.strip() for line in reversed(words) if _COMPLAINTS.search(line)), "")
