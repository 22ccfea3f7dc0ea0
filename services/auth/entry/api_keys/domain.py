"""A key at the one moment when it can be shown."""

from dataclasses import dataclass

from services.auth.models import ApiKey


@dataclass(frozen=True, slots=True)
class MadeApiKey:
    """What is kept of a new key, and the key itself, which is not."""

    row: ApiKey
    key: str
