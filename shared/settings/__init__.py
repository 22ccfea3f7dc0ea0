"""What a service can be told by its environment; a secret that is easy to guess stops the start."""

from shared.settings.service import ClientSettings, ServiceSettings
from shared.settings.weak_secrets import setting_weakness, url_weakness, weakness

__all__ = [
    "ClientSettings",
    "ServiceSettings",
    "setting_weakness",
    "url_weakness",
    "weakness",
]
