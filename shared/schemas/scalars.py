"""Values of callers' own, as they are kept in metadata: what every store and every client reads back as it was."""

import functools
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator, TypeAdapter
from pydantic_core import PydanticCustomError

from shared.schemas.models import Text

Scalar = bool | int | float | str
_LARGEST_NUMBER: Final = 2**53 - 1  # beyond it JavaScript and others round integers
_TEXT: TypeAdapter[str] = TypeAdapter(Text)


def scalar(longest: int) -> PlainValidator:
    """What makes a field such a value, with texts of so many characters at most."""
    return PlainValidator(
        functools.partial(_scalar, longest=longest),
        json_schema_input_type=bool
        | Annotated[float, Field(ge=-_LARGEST_NUMBER, le=_LARGEST_NUMBER)]
        | Annotated[str, Field(max_length=longest)],
    )


def _scalar(value: Any, longest: int) -> Scalar:
    """One validator instead of a union, which would explain each refusal four times and round large integers."""
    match value:
        case bool():
            return value
        case int() | float() if abs(value) <= _LARGEST_NUMBER:  # which neither an infinity nor a NaN is
            return value
        case str() if len(value) <= longest:
            return _TEXT.validate_python(value)
    message = "must be a boolean, a number between -(2^53 - 1) and 2^53 - 1, or a text of at most {longest} characters"
    raise PydanticCustomError("metadata_value", message, {"longest": longest})
