"""Settings that change while a process runs."""

from shared.live.settings import KEPT_KEY, LIVE_REMEDY, Change, ChangeNames, LiveSettings, live_value, prefix_of

__all__ = ["KEPT_KEY", "LIVE_REMEDY", "Change", "ChangeNames", "LiveSettings", "live_value", "prefix_of"]
