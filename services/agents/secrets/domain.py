"""What is known of a secret beside its value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

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
    created_at: datetime
    updated_at: datetime
