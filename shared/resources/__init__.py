"""What resources have in common: entity tags, places, and lists in pages."""

from shared.resources.conditional import conditional, declare_conditional, names
from shared.resources.etag import IfMatch, describe, described, etag, require_match, version_in
from shared.resources.pagination import Cursor, CursorCodec, Limit, Page, Slice

__all__ = [
    "Cursor",
    "CursorCodec",
    "IfMatch",
    "Limit",
    "Page",
    "Slice",
    "conditional",
    "declare_conditional",
    "describe",
    "described",
    "etag",
    "names",
    "require_match",
    "version_in",
]
