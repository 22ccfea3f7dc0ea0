"""What the service and Edge's own process say to each other over two pipes.

A frame is two lengths, a JSON object, and a blob of 32-bit floats. Kept free of heavy imports: Edge's process loads it.
"""

import struct
from typing import Any

import orjson

_LENGTHS = struct.Struct(">II")
HEADER_BYTES = _LENGTHS.size
MAX_FRAME_BYTES = 256 * 2**20

Message = dict[str, Any]


def encode(message: Message, blob: bytes = b"") -> bytes:
    """One frame."""
    body = orjson.dumps(message)
    return _LENGTHS.pack(len(body), len(blob)) + body + blob


def lengths(header: bytes) -> tuple[int, int]:
    """How long the JSON and the blob are. Raises ValueError for what no frame starts with."""
    body, blob = _LENGTHS.unpack(header)
    if body + blob > MAX_FRAME_BYTES:
        raise ValueError("a frame larger than any of ours")
    return body, blob
