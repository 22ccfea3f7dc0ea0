"""How processes keep what is theirs, and when others may take it for left; docs/decisions/0069."""

from typing import Final

MISSED: Final = 3
"""Looks at which a lease is to be missing before its run is given up."""
MISSED_MS: Final = 800
"""Between two of them, by the clock of Redis."""
RENEW_AGAIN_SECONDS: Final = 0.4
"""After a Redis that was away a lease is tried again so soon: twice as often as others miss it."""
