"""The one file of a `multipart/form-data` body, as it comes: nothing of it is held back but what may be a boundary."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.vectors.files.domain import MAX_FILE_NAME_CHARS, is_file_name
from shared.door import UnsupportedMediaType
from shared.errors import Invalid, TooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MEDIA_TYPE: Final = "multipart/form-data"
FIELD: Final = "file"
AROUND_BYTES: Final = 16 * 2**10
"""What boundaries and headers may take beside the file."""
_MAX_HEADERS: Final = 8
_MAX_FIELD_BYTES: Final = 256
_AS_IT_IS: Final = frozenset({b"binary", b"8bit", b"7bit"})


class OneFile:
    """A body with a file in it: its `name` once it is `opened`, then its `chunks`."""

    def __init__(
        self, content_type: str, body: AsyncIterator[bytes], most_bytes: int, beside: frozenset[str] = frozenset()
    ) -> None:
        """`beside` are fields of text that it may have too, once each. Raises UnsupportedMediaType, Invalid."""
        media_type, options = parse_options_header(content_type)
        if media_type != MEDIA_TYPE.encode():
            raise UnsupportedMediaType(f"The body of this operation is {MEDIA_TYPE}, or none with `Upload-Length`.")
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(options.get(b"boundary") or b"", callbacks, max_header_count=_MAX_HEADERS)
        except FormParserError as error:
            raise _broken() from error
        if not options.get(b"boundary"):
            raise _broken()
        self.name = ""
        self.fields: dict[str, str] = {}
        """Those of `beside` that have come; those behind the file have once its `chunks` have."""
        self._beside, self._field, self._text = beside, "", b""
        self._body, self._left = body, most_bytes + AROUND_BYTES
        self._header, self._value, self._disposition = b"", b"", b""
        self._waiting: list[bytes] = []
        self._has_ended = False

    async def opened(self) -> "OneFile":
        """When its name has come. Raises Invalid for a body without a file, TooLarge."""
        while not self.name and await self._more():
            pass
        if not self.name:
            raise Invalid.field(f"/{FIELD}", "missing", f"The form has no file named {FIELD!r}.")
        return self

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes. Raises Invalid for what else the form holds, or when it breaks off, and TooLarge."""
        while True:
            while self._waiting:
                yield self._waiting.pop(0)
            if not await self._more():
                return

    async def _more(self) -> bool:
        """Read on; False at the end."""
        async for chunk in self._body:
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLarge("The form holds more than its file may.")
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise _broken() from error
            return True
        if not self._has_ended:
            raise _broken()
        return False

    def _on_part_begin(self) -> None:
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        name, value = self._header.lower(), self._value
        if name == b"content-disposition":
            self._disposition = value
        elif name == b"content-transfer-encoding" and value.strip().lower() not in _AS_IT_IS:
            detail = "A file is kept as it comes: send it without `Content-Transfer-Encoding`."
            raise Invalid.field(f"/{FIELD}", "transfer_encoding", detail)
        self._header, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        field = options.get(b"name", b"").decode(errors="replace")
        if field in self._beside and field not in self.fields and b"filename" not in options:
            self._field, self._text = field, b""
            return
        if field != FIELD or self.name:
            taken = "".join(f", {one!r}" for one in sorted(self._beside))
            raise Invalid.field(
                f"/{field[:64]}", "extra_forbidden", f"The form takes one file, named {FIELD!r}{taken}, and no more."
            )
        self.name = named(options.get(b"filename", b""), f"/{FIELD}")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._field:
            self._waiting.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _MAX_FIELD_BYTES:
            detail = f"May have {_MAX_FIELD_BYTES} bytes."
            raise Invalid.field(f"/{self._field}", "string_too_long", detail)

    def _on_part_end(self) -> None:
        if self._field:
            self.fields[self._field] = self._text.decode(errors="replace")
        self._field = ""

    def _on_end(self) -> None:
        self._has_ended = True


def named(name: bytes, pointer: str) -> str:
    """The name of a file. Raises Invalid, which points there, for what is none."""
    try:
        decoded = name.decode()
    except UnicodeDecodeError:
        decoded = ""
    if not is_file_name(decoded):
        detail = (
            f"A file has a name of 1 to {MAX_FILE_NAME_CHARS} characters in UTF-8, without control characters, "
            "slashes and backslashes."
        )
        raise Invalid.field(pointer, "file_name", detail)
    return decoded


def _broken() -> Invalid:
    return Invalid(f"The body is no whole {MEDIA_TYPE} with a boundary.")
