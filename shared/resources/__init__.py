"""What resources have in common: entity tags, places, and lists in pages."""

from shared.resources.etag import IfMatch, describe, described, etag, require_match
from shared.resources.pagination import Cursor, CursorCodec, Limit, Page, Slice

__all__ = [
    "Cursor",
    "CursorCodec",
    "IfMatch",
    "Limit",
    "Page",
    "Slice",
    "describe",
    "described",
    "etag",
    "require_match",
]
