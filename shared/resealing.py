"""Having all that is sealed sealed with the first key, so that older ones can be taken away: what came of a look at it.

How secrets are found and changed is their store's; when, and what is said of it, is here.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from shared.loops import keep

_EVERY_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Resealed:
    """What came of looking at all secrets."""

    secrets: int
    renewed: int
    unknown: int
    """That no key opens."""
    overtaken: int
    """That somebody wrote meanwhile, with whichever key they have."""

    @classmethod
    def of(cls, counted: Counter[str]) -> "Resealed":
        """Counted by the names of the fields."""
        return cls(counted["secrets"], counted["renewed"], counted["unknown"], counted["overtaken"])

    @property
    def is_done(self) -> bool:
        """Whether the first key opens all of them."""
        return not self.unknown and not self.overtaken

    def told(self, secrets: str, written: str) -> str:
        """For an operator: `secrets` are what they are called, and `written` is how one becomes another."""
        lines = [f"{secrets}: {self.secrets}", f"sealed anew just now: {self.renewed}"]
        if self.unknown:
            lines.append(f"that no key opens, and have to be {written}: {self.unknown}")
        if self.overtaken:
            lines.append(f"{written.removesuffix(' again')} by others meanwhile, so do it again: {self.overtaken}")
        if self.is_done:
            lines.append("all of them open with the first key: the others can be taken away")
        return "\n".join(lines)


async def keep_resealing(look: Callable[[], Awaitable[Resealed]], log: logging.Logger) -> None:
    """Look at the start and each hour: beside this process others may still seal with an older key. Never returns."""

    async def reseal() -> None:
        found = await look()
        if found.renewed:
            log.info("secrets are sealed with the first key now", extra={"fields": {"secrets": found.renewed}})
        if found.unknown:
            log.warning("secrets that no key opens", extra={"fields": {"secrets": found.unknown}})

    await keep(reseal, log=log, every_seconds=_EVERY_SECONDS)
