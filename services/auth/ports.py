"""What auth needs from the world outside."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Mail:
    """One letter to one address, as plain text."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Who takes letters."""

    async def send(self, mail: Mail) -> None:
        """Returns when the letter was taken, within ten seconds.

        Raises AddressRefused when the address is refused for good, Unavailable("mail") when another attempt may do.
        Either way it may have been delivered all the same; what it says must then lead nowhere.
        """
