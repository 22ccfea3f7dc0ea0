"""Why a collection is not copied.

    ServiceError
    ├── Conflict
    │   ├── CopyAliasElsewhere    vectors.copy_alias_elsewhere
    │   ├── CopyDiffers           vectors.copy_differs
    │   ├── CopyOutrun            vectors.copy_outrun
    │   ├── CopyRecallLow         vectors.copy_recall_low
    │   ├── CopyTextMissing       vectors.copy_text_missing
    │   └── CopyUnderWay          vectors.copy_under_way
    ├── Invalid
    │   └── CopyNeedsModel        vectors.copy_needs_model
    └── Unavailable
        └── CopyBusy              vectors.copy_busy

They are seen as the errors of a task of the kind `vectors.copy`.
"""

from shared.errors import Conflict, Invalid, Unavailable


class CopyUnderWay(Conflict):
    code = "vectors.copy_under_way"
    meaning = "The collection is being copied already: one copy of it at a time."

    def __init__(self, name: str) -> None:
        super().__init__(f"Collection {name!r} is being copied already; the collection being filled has that status.")


class CopyAliasElsewhere(Conflict):
    code = "vectors.copy_alias_elsewhere"
    meaning = "The alias that a copy is to switch does not point to its source, or no longer."

    def __init__(self, alias: str, source: str) -> None:
        super().__init__(
            f"The alias {alias!r} does not point to collection {source!r}, so the copy does not switch it."
        )


class CopyTextMissing(Conflict):
    code = "vectors.copy_text_missing"
    meaning = "A record of the collection has no text, so no vector can be made of it by the model."

    def __init__(self, name: str, record_id: str) -> None:
        super().__init__(f"The record {record_id!r} of collection {name!r} has no text to make a vector of.")


class CopyDiffers(Conflict):
    code = "vectors.copy_differs"
    meaning = "The copy does not hold as many records as its source, however often it was put right."

    def __init__(self, source: str, target: str) -> None:
        super().__init__(f"Collections {source!r} and {target!r} do not hold as many records; nothing was switched.")


class CopyOutrun(Conflict):
    code = "vectors.copy_outrun"
    meaning = "More of the collection was being written at once, all the time, than a copy makes good in a moment."

    def __init__(self, source: str) -> None:
        super().__init__(
            f"Collection {source!r} was written to faster than it is copied, though writers were made to wait; "
            "nothing was switched. Copy it while less is written at once."
        )


class CopyRecallLow(Conflict):
    code = "vectors.copy_recall_low"
    meaning = "Searches of the copy miss more of the nearest records than was allowed; `detail` names both shares."

    def __init__(self, target: str, found: float, wanted: float) -> None:
        super().__init__(f"Searches of {target!r} found {found:.3f} of the nearest records; {wanted} was asked for.")


class CopyNeedsModel(Invalid):
    code = "vectors.copy_needs_model"
    meaning = "Under another metric vectors are made anew: the copy has to name the `model` that makes them of texts."
    default_detail = "Under another metric vectors are made anew, of texts: name the `model` too."


class CopyBusy(Unavailable):
    """A step that was broken off may still be writing: the next waits until it cannot be any more."""

    code = "vectors.copy_busy"
    meaning = "A step of the copy is under way, or was broken off and may be; `Retry-After` says when to ask again."

    def __init__(self, target: str) -> None:
        super().__init__("vectors", retry_after_seconds=1, detail=f"A step of the copy to {target!r} is under way.")
