"""Seals values for the store: whoever has the store without the key has nothing."""

from enum import Enum, auto
from typing import Final

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.settings import CannotStart

_VARIABLE: Final = "SECRET_ENCRYPTION_KEY"


class Sealing(Enum):
    """By which of its keys a value is sealed."""

    FIRST = auto()
    OLDER = auto()
    UNKNOWN = auto()
    """By none of them."""


class Seal:
    """Seals with the first of its keys, and opens what any of them sealed."""

    def __init__(self, keys: str) -> None:
        """Of keys by comma, the newest first. Raises CannotStart for one that is no key."""
        try:
            each = [Fernet(key.strip()) for key in keys.split(",")]
        except ValueError as error:
            raise CannotStart(_VARIABLE, "is not 32 bytes in URL-safe base64, or several of these by comma") from error
        self._first, self._keys = each[0], MultiFernet(each)

    def close(self, tenant_id: str, name: str, value: str) -> str:
        """The value for this place, and no other: moved elsewhere in the store it does not open."""
        return self._keys.encrypt(orjson.dumps([tenant_id, name, value])).decode()

    def open(self, tenant_id: str, name: str, sealed: str) -> str | None:
        """The value; None where it was sealed with another key, or for another place."""
        try:
            place_and_value: list[str] = orjson.loads(self._keys.decrypt(sealed))
        except InvalidToken:
            return None
        *place, value = place_and_value
        return value if place == [tenant_id, name] else None

    def sealing(self, sealed: str) -> Sealing:
        """Which key opens it, wherever it belongs."""
        for keys, found in ((self._first, Sealing.FIRST), (self._keys, Sealing.OLDER)):
            try:
                keys.decrypt(sealed)
            except InvalidToken:
                continue
            return found
        return Sealing.UNKNOWN

    def renewed(self, sealed: str) -> str:
        """The same, for the same place, sealed with the first key. Raises InvalidToken where no key opens it."""
        return self._keys.rotate(sealed).decode()
