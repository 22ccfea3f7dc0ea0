"""Of records, and of what is found of them."""

from shared.errors import Conflict, Invalid, NotFound


class RecordNotFound(NotFound):
    code = "vectors.record_not_found"
    meaning = "The collection holds no record with this id."

    def __init__(self, name: str, record_id: str) -> None:
        super().__init__(f"Collection {name!r} holds no record {record_id!r}.")


class DimensionMismatch(Invalid):
    code = "vectors.dimension_mismatch"
    meaning = "The vector has another number of dimensions than the collection; `detail` names both."

    def __init__(self, pointer: str, *, given: int, name: str, expected: int) -> None:
        detail = f"The vector has {given} dimensions; collection {name!r} has {expected}."
        super().__init__(detail, at=(pointer, "dimension_mismatch"))


class VectorInvalid(Invalid):
    """Not a point of the space: infinite, not a number, too long for scores, or without direction under cosine."""

    code = "vectors.vector_invalid"
    meaning = (
        "The vector is no point of the space: infinite, not a number, zero under cosine, longer than 1e18 elsewhere."
    )


class FilterInvalid(Invalid):
    code = "vectors.filter_invalid"
    meaning = "The filter is not well formed; `errors` points at the part."


class MetadataTooLarge(Invalid):
    code = "vectors.metadata_too_large"
    meaning = "With the change, the record's metadata would have more members, or bytes, than it may."

    def __init__(self, given: int, limit: int, what: str) -> None:
        detail = f"The metadata would have {given:,} {what}; it may have {limit:,}."
        super().__init__(detail, at=("/metadata", "metadata_form"))


class AnswerTooLarge(Invalid):
    code = "vectors.answer_too_large"
    meaning = "The records found hold more text and metadata than one answer may: ask for fewer at once."

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            f"What was found holds more than {most_bytes // 2**20} MiB of text and metadata: ask for fewer at once."
        )


class WordsMissing(Conflict):
    """Searching by half of the words would find some records and not the others."""

    code = "vectors.words_missing"
    meaning = (
        "The collection was made before its engine kept words: they are being made of its texts since it was first "
        "searched by keywords, and until that is done vectors find its records; `detail` says where it failed."
    )

    def __init__(self, name: str, *, are_coming: bool = True) -> None:
        """`are_coming`: whether nothing has failed so far."""
        state = (
            "they are being made of its texts; search again in a while"
            if are_coming
            else "they could not be made the last time, and are being tried again"
        )
        super().__init__(f"Collection {name!r} was made before keyword search and has no words yet: {state}.")
