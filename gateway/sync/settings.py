"""Which Kong, and which file."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from gateway.envoy.early import DEFAULT_KONG_CONFIG
from shared.settings import SettingsWithFiles


class SyncSettings(SettingsWithFiles):
    """Read from the environment by the upper-case names of the fields."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    kong_admin_url: str = Field(
        pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$", description="the Admin API of a Kong without a database"
    )
    kong_config: Path = Field(default=DEFAULT_KONG_CONFIG, description="the declarative file to load")
