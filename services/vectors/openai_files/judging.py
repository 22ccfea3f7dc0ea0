"""Which files are taken at this door: those that can be attached to a vector store, since nothing else is done here."""

from typing import Final, Literal, get_args

from services.vectors.files.domain import Judge
from services.vectors.files.errors import FileEmpty, FileUnreadable, PurposeUnsupported
from shared.errors import Invalid

PURPOSE: Final = "purpose"
Purpose = Literal["assistants", "user_data"]
PURPOSES: Final[tuple[str, ...]] = get_args(Purpose)
READABLE: Final = {
    "application/pdf": "PDF",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX",
    "text/html": "HTML",
    "text/markdown": "Markdown",
    "text/csv": "CSV",
    "text/tab-separated-values": "TSV",
    "application/json": "JSON",
    "text/plain": "text",
}
"""What `vectors.ingest` has a reader for, by the media types that files are told to be; a test holds both together."""


def judge_of(fields: dict[str, str]) -> Judge:
    """The judge of a file whose form has `fields`, which may come behind it."""

    def judge(name: str, media_type: str, length: int) -> str:
        """Raises Invalid, PurposeUnsupported, FileEmpty, FileUnreadable."""
        purpose = purpose_in(fields)
        if not length:
            raise FileEmpty(name)
        if media_type not in READABLE:
            raise FileUnreadable(name, media_type, ", ".join(READABLE.values()))
        return purpose

    return judge


def purpose_in(fields: dict[str, str]) -> str:
    """Raises Invalid where none is told, and PurposeUnsupported."""
    if PURPOSE not in fields:
        raise Invalid.field(f"/{PURPOSE}", "missing", "The form says what the file is for, in `purpose`.")
    if fields[PURPOSE] not in PURPOSES:
        raise PurposeUnsupported(fields[PURPOSE], ", ".join(PURPOSES))
    return fields[PURPOSE]
