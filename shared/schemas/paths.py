"""Ids and names that callers choose: only such as arrive as they were sent when they stand in a path.

Percent-encoding protects most characters on their way, and not all. A segment `.` or `..` is taken away by clients,
proxies and servers, encoded or not, so that `DELETE …/records/..` deletes what the records lie in; some of them merge
empty segments, read `\\` as `/`, trim blanks, drop control characters, or decode a `%` twice.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

# As JSON Schema and `re` both read it. Its third part refuses a segment of no character, or of one or two dots.
_SAFE: Final = r"^(?!\s)(?!.*\s$)(?!(.*/)?\.{0,2}(/|$))[^\x00-\x1f\x7f-\x9f\u2028\u2029%\\]+$(?!\n)"
_SAFE_IN_PATH: Final = re.compile(_SAFE)
_LONE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")  # not in the schema, whose readers may see halves of an emoji


def _safe_in_path(value: str) -> str:
    if _SAFE_IN_PATH.match(value) and not _LONE_SURROGATE.search(value):
        return value
    raise PydanticCustomError(
        "unsafe_in_path",
        "Must be something a path can carry: no control characters, no '%' or '\\', no blank at either end, and "
        "between slashes neither nothing nor '.' or '..'.",
    )


PathText = Annotated[str, Field(json_schema_extra={"pattern": _SAFE}), AfterValidator(_safe_in_path)]
"""An id or a name that a path can carry, and every store keep. Add your own length bounds."""
