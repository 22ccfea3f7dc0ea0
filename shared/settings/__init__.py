"""What a service can be told by its environment; a secret that is easy to guess stops the start."""

from shared.settings.file_secrets import SettingsWithFiles
from shared.settings.refusal import CannotStart, require_address
from shared.settings.service import ClientSettings, ServiceSettings
from shared.settings.weak_secrets import setting_weakness, url_weakness, weakness

__all__ = [
    "CannotStart",
    "ClientSettings",
    "ServiceSettings",
    "SettingsWithFiles",
    "require_address",
    "setting_weakness",
    "url_weakness",
    "weakness",
]
