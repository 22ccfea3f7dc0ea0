"""What is refused of vector stores, and why.

ServiceError
├── NotFound
│   ├── AttachmentNotFound        vectors.attachment_not_found
│   └── BatchNotFound             vectors.batch_not_found
├── Conflict
│   ├── AttachmentChanged         vectors.attachment_changed
│   ├── AttachmentUnderWay        vectors.attachment_under_way
│   └── StoreExpired              vectors.store_expired
└── Invalid
    ├── ChunksTooLarge            vectors.chunks_too_large
    ├── EngineFixed               vectors.engine_fixed
    ├── PlaceUnknown              vectors.place_unknown
    └── TooManyFiles              vectors.too_many_files

A store that is not there is a collection that is not: `vectors.collection_not_found`.
"""

from services.vectors.stores.domain import MAX_ATTACHED
from shared.errors import Conflict, Invalid, NotFound


class AttachmentNotFound(NotFound):
    code = "vectors.attachment_not_found"
    meaning = "The vector store has no such file attached."

    def __init__(self, name: str, file_id: str) -> None:
        super().__init__(f"No file {file_id!r} is attached to {name!r}.")


class BatchNotFound(NotFound):
    code = "vectors.batch_not_found"
    meaning = "The vector store has no such batch, or each of its files was detached or attached anew since."

    def __init__(self, name: str, batch_id: str) -> None:
        super().__init__(f"{name!r} has no files of a batch {batch_id!r}.")


class AttachmentChanged(Conflict):
    """Told to an ingestion, whose task ends with it."""

    code = "vectors.attachment_changed"
    meaning = (
        "The file was detached or attached anew since its ingestion was submitted, or that was given up: nothing of it "
        "is stored or deleted any more. To have it in the vector store, attach it again."
    )

    def __init__(self, file_id: str) -> None:
        super().__init__(f"The file {file_id!r} is no longer attached as it was when its ingestion was submitted.")


class AttachmentUnderWay(Conflict):
    """What an ingestion writes after the change would not have it."""

    code = "vectors.attachment_under_way"
    meaning = (
        "A file of the vector store is being ingested, detached or changed, so what was asked for would be undone by "
        "it: wait until that has ended. Where its task is the caller's own it was told to stop; try again in a moment."
    )

    def __init__(self, file_id: str) -> None:
        super().__init__(f"The file {file_id!r} is being ingested or changed: try again when that has ended.")


class StoreExpired(Conflict):
    code = "vectors.store_expired"
    meaning = (
        "The vector store was not used for the days after which it was to expire. A day after that was found it is "
        "deleted; until then another `expires_after` has it back."
    )

    def __init__(self, name: str) -> None:
        super().__init__(f"The vector store {name!r} has expired, as nobody used it.")


class ChunksTooLarge(Invalid):
    code = "vectors.chunks_too_large"
    meaning = (
        "The model that embeds chunks reads fewer tokens at once than a chunk was to have; `detail` says how many."
    )

    def __init__(self, pointer: str, given: int, window: int) -> None:
        detail = f"Chunks of {given} tokens were asked for; the model here reads {window} at once."
        super().__init__(detail, at=(f"{pointer}/static/max_chunk_size_tokens", "chunks_too_large"))


class EngineFixed(Invalid):
    code = "vectors.engine_fixed"
    meaning = "A vector store stays on the engine on which it was made: `metadata.engine` names that or nothing."

    def __init__(self, engine: str) -> None:
        detail = f"This vector store is on {engine!r}; a task of the kind 'vectors.copy' moves it."
        super().__init__(detail, at=("/metadata/engine", "engine_fixed"))


class PlaceUnknown(Invalid):
    code = "vectors.place_unknown"
    meaning = "`after` or `before` names what is not in the list."

    def __init__(self, parameter: str) -> None:
        super().__init__("Names nothing in this list.", at=(f"query/{parameter}", "place_unknown"))


class TooManyFiles(Invalid):
    code = "vectors.too_many_files"
    meaning = f"A vector store has {MAX_ATTACHED:,} files at most."

    def __init__(self, pointer: str) -> None:
        super().__init__(f"A vector store may have {MAX_ATTACHED:,} files.", at=(pointer, "too_many_files"))
