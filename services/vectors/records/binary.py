"""Vectors as bytes: a JSON header and behind it the matrix, framed as files of safetensors are.

Eight bytes say how long the header is (unsigned, little-endian); the header is the JSON that the operation takes, but
for vectors; what follows are the vectors, a row for each in their order, as little-endian floats. A number takes four
bytes, or two, in place of ten to twenty, and is copied and not parsed.
"""

from typing import Any, ClassVar, Final

import numpy as np
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from starlette.types import Receive, Scope

from services.vectors.domain import MAX_DIMENSION
from services.vectors.records import pieces
from shared.door import BoundedRequest, Bounds

MEDIA_TYPE: Final = "application/octet-stream"
_LENGTH_BYTES: Final = 8
_TYPES: Final[dict[str, np.dtype[Any]]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}
_DTYPE: Final = "dtype"


def in_bytes(*, kib: int, row: str) -> dict[str, Any]:
    """For the OpenAPI document: the body of an operation, beside its JSON; a `row` is of each what."""
    schema = {
        "type": "string",
        "format": "binary",
        "minLength": _LENGTH_BYTES + 1,
        "maxLength": kib * 2**10,
        "description": "the length of the header in eight bytes, unsigned and little-endian; the header: the JSON body "
        f"without vectors, and with `dtype`: `float32` (the default) or `float16`; a row of numbers for each {row}, "
        "little-endian",
    }
    return {"requestBody": {"content": {MEDIA_TYPE: {"schema": schema}}}}


class BinaryRequest(BoundedRequest):
    """A request whose body is JSON, or a header and a matrix; the latter becomes an instance of `model`."""

    model: ClassVar[type[BaseModel]]
    takes_bytes: ClassVar[bool] = True
    also = f" or {MEDIA_TYPE}"

    def __init__(self, scope: Scope, receive: Receive, bounds: Bounds, *, is_form: bool) -> None:
        self.is_binary = self.takes_bytes and any(
            name == b"content-type" and _is_ours(value) for name, value in scope["headers"]
        )
        if self.is_binary:  # FastAPI asks for the parsed body where it is told of JSON, and else takes the bytes
            others = [header for header in scope["headers"] if header[0] != b"content-type"]
            scope["headers"] = [*others, (b"content-type", b"application/json")]
        super().__init__(scope, receive, bounds, is_form=is_form)

    async def parsed(self, body: bytes) -> Any:
        return accepted(self.of_matrix(body)) if self.is_binary else await super().parsed(body)

    def of_matrix(self, body: bytes) -> BaseModel | RequestValidationError:
        """The model, or the refusal. Raises TooComplex, and ValueError for a header that is no JSON."""
        try:
            header, matrix = _parts(body)
            self.bounds.require_shape(header)
            parsed = pieces.loads(header)
            _put_in(parsed, matrix)
        except MatrixError as error:
            return RequestValidationError([{"type": "matrix_form", "loc": ("body", *error.place), "msg": str(error)}])
        return validated(self.model, parsed)


def validated(model: type[BaseModel], parsed: Any) -> BaseModel | RequestValidationError:
    """The model, or the refusal that FastAPI would make after looking at all of it again on the event loop."""
    try:
        return model.model_validate(parsed)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        return RequestValidationError([one | {"loc": ("body", *one["loc"])} for one in found], body=parsed)


def accepted(found: BaseModel | RequestValidationError) -> BaseModel:
    """The model. Raises the refusal here: on the way its traceback would keep the body until garbage is collected."""
    if isinstance(found, RequestValidationError):
        raise found
    return found


class MatrixError(Exception):
    """The bytes are no header with a matrix."""

    def __init__(self, detail: str, *place: str | int) -> None:
        super().__init__(detail)
        self.place = place


def _is_ours(media_type: bytes) -> bool:
    return media_type.partition(b";")[0].strip().lower() == MEDIA_TYPE.encode()


def _parts(body: bytes) -> tuple[bytes, memoryview]:
    length = int.from_bytes(body[:_LENGTH_BYTES], "little")
    if len(body) < _LENGTH_BYTES + length or not length:
        raise MatrixError(
            f"The first {_LENGTH_BYTES} bytes must say how long the header is, as a little-endian integer; they say "
            f"{length:,} of {max(0, len(body) - _LENGTH_BYTES):,} bytes."
        )
    start = _LENGTH_BYTES + length
    return body[_LENGTH_BYTES:start], memoryview(body)[start:]


def _put_in(parsed: Any, matrix: memoryview) -> None:
    """The rows as the vectors of the items, or as the one of a search; what is no such thing is left to the model."""
    if not isinstance(parsed, dict):
        return
    dtype = parsed.pop(_DTYPE, "float32")
    if not isinstance(dtype, str) or dtype not in _TYPES:
        raise MatrixError(f"Must be one of {', '.join(_TYPES)}.", _DTYPE)
    items = parsed.get("items", [parsed])
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        return
    for at, item in enumerate(items):
        if "vector" in item:
            place = ("vector",) if item is parsed else ("items", at, "vector")
            raise MatrixError("Its vector is the row behind the header, and stands nowhere else.", *place)
    for item, row in zip(items, _rows(matrix, _TYPES[dtype], len(items)), strict=True):
        item["vector"] = row


def _rows(matrix: memoryview, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    dimension, rest = divmod(len(matrix), count * dtype.itemsize)
    if rest or not 1 <= dimension <= MAX_DIMENSION:
        raise MatrixError(
            f"Behind the header stand {len(matrix):,} bytes, which are not {count:,} vectors of 1 to {MAX_DIMENSION:,} "
            f"numbers of {dtype.itemsize} bytes."
        )
    return np.frombuffer(matrix, dtype).reshape(count, dimension)
