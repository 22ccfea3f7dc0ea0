"""What callers need of discovery."""

from typing import Literal, Protocol

Scheme = Literal["http", "https"]
"""By which our own processes talk to each other."""


class Discovery(Protocol):
    """Where a service can be reached right now."""

    async def choose(self, service: str) -> str:
        """The base URL to try next. Raises Unavailable when none was ever known."""

    def eject(self, service: str, address: str) -> None:
        """Avoid `address` for a few seconds, unless it is the only one."""

    async def instances(self, service: str) -> list[str]:
        """All known base URLs."""
