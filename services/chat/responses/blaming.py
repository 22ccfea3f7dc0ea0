"""Which field is to blame, as a response calls it: what is said of a model's request names those of completions."""

from typing import Final

from shared.errors import ServiceError

_NAMES: Final = {
    "/messages": "/input",
    "/max_completion_tokens": "/max_output_tokens",
    "/max_tokens": "/max_output_tokens",
    "/response_format": "/text/format",
    "/reasoning_effort": "/reasoning/effort",
}


def blamed(error: ServiceError) -> ServiceError:
    """The same error, of the field that the caller has written."""
    error.errors = [one.model_copy(update={"pointer": _NAMES.get(one.pointer, one.pointer)}) for one in error.errors]
    return error
