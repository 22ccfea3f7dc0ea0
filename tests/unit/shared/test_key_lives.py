"""Exchanged API keys do not fall due together."""

from collections import Counter
from typing import Any

from shared.identity.authenticator import kept_until

KEYS, NOW = 1_000, 5_000.0
ANYBODY: Any = None


def test_keys_that_came_at_once_fall_due_over_half_a_minute() -> None:
    ends = [kept_until(b"", ANYBODY, NOW) - NOW for _ in range(KEYS)]
    in_a_second = Counter(map(int, ends))

    assert all(30 <= end <= 60 for end in ends)
    assert max(in_a_second.values()) < KEYS / 10
