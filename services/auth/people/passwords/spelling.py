"""How a password is spelled: the same one, whatever keyboard and whatever Unicode form it was typed in.

OpaqueString of RFC 8265, section 4.2. Control characters are refused where a password is chosen (`hashing.py`) and not
where it is typed: some were chosen before there was this rule. Of the code points that RFC 8264 keeps out for other
reasons none is refused: to people they are letters and pictures, and which are known depends on the version of Unicode.
"""

import unicodedata

_CONTROL, _SPACE = "Cc", "Zs"


def spelled(password: str) -> str:
    """The one spelling: each space is U+0020, all is in NFC. No case, no width, nothing is cut off; ASCII is itself."""
    if password.isascii():
        return password
    spaced = "".join(" " if unicodedata.category(one) == _SPACE else one for one in password)
    return unicodedata.normalize("NFC", spaced)


def has_controls(password: str) -> bool:
    """Whether there are control characters in it, which many keyboards cannot type."""
    return any(unicodedata.category(one) == _CONTROL for one in password)
