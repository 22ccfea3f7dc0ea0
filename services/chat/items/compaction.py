"""What was said in short, as one item that nobody but this service reads.

It is encoded and not encrypted: it tells nothing that its caller has not given, and whoever changes it changes what
they say themselves.
"""

import base64
import binascii
from typing import Final

_FORM: Final = "short1."


def packed(text: str) -> str:
    """The content of the item."""
    return _FORM + base64.urlsafe_b64encode(text.encode()).decode()


def unpacked(content: str) -> str | None:
    """The text in it; None where it is none of ours."""
    if not content.startswith(_FORM):
        return None
    try:
        return base64.b64decode(content.removeprefix(_FORM), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
