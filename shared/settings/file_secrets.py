"""Secrets in files, a container's way: `NAME_FILE=/run/secrets/name`."""

import os
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError


class FileSecretsSource(PydanticBaseSettingsSource):
    """Reads `<NAME>_FILE` for every field, so that a secret need not stand in the environment."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Raises SettingsError, which names the variable and shows nothing of the file."""
        variable = f"{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        try:
            text = Path(path).read_text().strip() if path else None
            return self.prepare_field_value(field_name, field, text, value_is_complex=False), field_name, False
        except OSError as error:
            raise SettingsError(f"{variable}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise SettingsError(f"{variable}: holds no valid JSON or no text") from error

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class SettingsWithFiles(BaseSettings):
    """Read from the environment by the upper-case names of the fields, or from the files that `NAME_FILE` names."""

    @classmethod
    def settings_customise_sources(  # the signature is pydantic's
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, FileSecretsSource(settings_cls)
