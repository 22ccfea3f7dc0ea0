"""What is known of the model that comes with the suite; `LLM_MODELS` says otherwise, member by member."""

from collections.abc import Mapping
from typing import Final

from services.chat.models.configured import ModelEntry

BUILT_IN: Final[Mapping[str, ModelEntry]] = {
    # 135 million parameters. Left to its own words it misses what stands before it, and goes on until it is cut.
    "smollm2-135m-instruct": ModelEntry(quotes=True),
}


def with_built_in(name: str, entry: ModelEntry) -> ModelEntry:
    """`entry`, and of the model called `name` what it does not say."""
    known = BUILT_IN.get(name)
    return known.model_copy(update=entry.model_dump(exclude_unset=True)) if known else entry
