"""Providers and models as an operator writes them, in the JSON of two settings."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

DEFAULT_PROVIDER = "default"
"""The provider of `LLM_URL`, `LLM_MODEL` and `LLM_API_KEY`."""

ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S+$")]
HeaderName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
HeaderValue = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")]
_TOO_LONG_BYTES = 4096


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ProviderEntry(_Entry):
    """One provider more. Its models are those it lists, or `models` where it lists none, or not all."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")
    url: str = Field(pattern=r"^https?://\S+$", max_length=2048)
    api_key: SecretStr | None = None
    api_key_file: Path | None = Field(default=None, exclude=True)
    models: tuple[ModelName, ...] | None = Field(default=None, min_length=1, max_length=1000)
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict, max_length=16, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _read_key(cls, members: Any) -> Any:
        """The key out of its file. What cannot be read stops the start, and nothing of it is shown."""
        if not isinstance(members, dict) or not members.get("api_key_file"):
            return members
        if members.get("api_key"):
            raise ValueError("api_key and api_key_file are both given")
        try:
            with Path(str(members["api_key_file"])).open() as file:
                return members | {"api_key": file.read(_TOO_LONG_BYTES).strip()}
        except (OSError, ValueError) as error:
            raise ValueError("api_key_file cannot be read") from error


class ModelEntry(_Entry):
    """What is known of one model; it counts before what its provider says. Prices are for a million tokens."""

    window_tokens: int | None = Field(default=None, ge=256, le=100_000_000)
    answer_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    prompt_price: float | None = Field(default=None, ge=0, le=100_000, allow_inf_nan=False)
    completion_price: float | None = Field(default=None, ge=0, le=100_000, allow_inf_nan=False)
    quotes: bool = False
    sees: bool | None = None
    image_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
