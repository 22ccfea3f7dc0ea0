"""What was found in files, as a response shows it, and where its text names them."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.chat.domain import REFERENCE, Citation


class Files:
    """Those of one response."""

    def __init__(self) -> None:
        self._names = dict[tuple[str, str], str]()

    def found(self, results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What a search has told, in OpenAI's shape."""
        shown = list[dict[str, Any]]()
        for one in results:
            self._names[one["store"], one["file_id"]] = one["filename"]
            shown.append({name: one[name] for name in ("file_id", "filename", "score", "text", "attributes")})
        return shown

    def named_in(self, text: str, citations: Iterable[Citation]) -> list[dict[str, Any]]:
        """A citation of a file for each place of the text that names one by its number."""
        files = {
            one.number: (one.record_id, self._names[one.collection, one.record_id])
            for one in citations
            if (one.collection, one.record_id) in self._names
        }
        return [
            {"type": "file_citation", "index": match.start(), "file_id": file_id, "filename": filename}
            for match in REFERENCE.finditer(text)
            if (number := int(match[1])) in files
            for file_id, filename in [files[number]]
        ]
