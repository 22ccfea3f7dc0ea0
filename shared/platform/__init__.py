"""What every service opens first, and how it is served and stopped."""

from shared.platform.platform import Platform, Trust, open_platform
from shared.platform.serving import serve

__all__ = [
    "Platform",
    "Trust",
    "open_platform",
    "serve",
]
