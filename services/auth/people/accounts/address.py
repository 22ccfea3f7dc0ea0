"""How an e-mail address is spelled: one form for all the ways to type one, at every place where one is typed.

Registering, logging in, inviting and searching go through here, so what registers can log in, and one mailbox has one
account. Nothing here asks the network.
"""

import unicodedata
from typing import Final

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

MAX_LENGTH: Final = 254
"""RFC 5321's 256 octets of a path, without its angle brackets."""


def address(typed: str) -> str:
    """The one spelling of the address that was typed; of itself it is the same again.

    The local part in NFC (RFC 6532, section 3.1) and lower case, the host in lower case and Unicode, whether it was
    typed so or as `xn--` (RFC 5891). Spaces around it are the keyboard's. Raises ValueError for what is no address or
    more than one: with a display name, a quoted local part, a host that is no public name.
    """
    checked = _checked(typed.strip())
    # The case of the local part matters to no provider in practice.
    local_part = unicodedata.normalize("NFC", checked.local_part.lower())
    if local_part == checked.local_part:
        return checked.normalized
    return _checked(f"{local_part}@{checked.domain}").normalized  # a letter's lower case may be longer


def beginning(typed: str) -> str:
    """How addresses are spelled that begin as typed. After `xn--` only a whole one is found: a part has no letters."""
    try:
        return address(typed)
    except ValueError:
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", typed).lower())


def as_mailed(spelled: str) -> str:
    """What mail servers are told: the host as `xn--`, which each of them takes, unless the rest asks for RFC 6531."""
    return _checked(spelled).ascii_email or spelled


def _checked(text: str) -> ValidatedEmail:
    try:
        return validate_email(text, check_deliverability=False)
    except EmailNotValidError as error:
        raise ValueError(f"is not a valid email address: {error}") from error
