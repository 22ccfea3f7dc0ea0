"""What is known of a secret beside its value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.agents.secrets.hosts import leads_to

MOST_SECRETS: Final = 100
"""Of one tenant."""
LONGEST_VALUE: Final = 8_192
"""Characters."""
SHORTEST_VALUE: Final = 8
"""What is shorter stands by chance in what servers answer, and anybody guesses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """That there is one; its value stays sealed."""

    name: str
    hosts: tuple[str, ...] | None
    """Where it is sent to. None of one that an earlier release wrote: to wherever a tool says."""
    created_at: datetime
    updated_at: datetime

    @property
    def warning(self) -> str | None:
        """What its owner should see to."""
        return None if self.hosts is not None else "It is sent to any host that a tool names: write it with `hosts`."


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret as the store has it."""

    text: str
    hosts: tuple[str, ...] | None

    def is_for(self, host: str) -> bool:
        """Whether it may be sent there."""
        return self.hosts is None or leads_to(self.hosts, host)
