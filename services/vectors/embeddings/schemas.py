"""Embeddings as OpenAI's clients ask for them and read them."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.vectors.domain import MAX_DIMENSION, MAX_ITEMS, MAX_TEXT_CHARS
from shared.openai import OpenAIRequest, Unsupported
from shared.schemas import LargeModel, ResponseModel, Text

MAX_INPUTS: Final = 2048
"""That OpenAI's clients send at once."""
_TEXT_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARS}


def _texts(value: object) -> object:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and any(isinstance(one, int | list) for one in value[:MAX_INPUTS]):
        raise PydanticCustomError(
            "tokens_refused",
            "Arrays of tokens are refused: they are of another model's vocabulary. Send text "
            "(LangChain: check_embedding_ctx_length=False).",
        )
    return value


class EmbeddingsRequest(OpenAIRequest):
    """Texts to turn into vectors."""

    input: Annotated[
        list[Annotated[Text, Field(min_length=1, max_length=MAX_TEXT_CHARS)]],
        BeforeValidator(_texts),
        Field(min_length=1, max_length=MAX_INPUTS),
        WithJsonSchema(
            {
                "anyOf": [
                    _TEXT_SCHEMA,
                    {"type": "array", "items": _TEXT_SCHEMA, "minItems": 1, "maxItems": MAX_INPUTS},
                ],
                "description": "one text or several; no arrays of tokens",
                "examples": [["how do I rotate keys?", "Keys are rotated every ninety days."]],
            }
        ),
    ]
    model: Annotated[Text, Field(min_length=1, max_length=200, examples=["multilingual-e5-small"])] = Field(
        description="the one that there is: `EMBEDDINGS_MODEL`"
    )
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="numbers, or the base64 of little-endian 32-bit floats"
    )
    dimensions: int | None = Field(
        default=None, ge=1, le=MAX_DIMENSION, description="of the vectors; none but the model's own is taken"
    )
    user: Unsupported = None
    input_type: Literal["passage", "query"] = Field(
        default="passage",
        description="what the texts are: something to be found, or a question that finds it. Not OpenAI's; models that "
        "embed both alike make no difference",
    )


class Embedding(ResponseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(ResponseModel):
    prompt_tokens: int = Field(description="that the model read; estimated where it does not tell")
    total_tokens: int


class EmbeddingsResult(ResponseModel):
    """In the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class TokensRequest(LargeModel):
    """Texts of which nothing but the length is asked."""

    texts: list[Annotated[Text, Field(min_length=1, max_length=MAX_TEXT_CHARS)]] = Field(
        min_length=1, max_length=MAX_ITEMS, examples=[["Keys are rotated every ninety days."]]
    )


class TokensResult(ResponseModel):
    """What the model makes of passages."""

    model: str
    window_tokens: int = Field(description="that a text may have to be embedded in one piece")
    tokens: list[int] = Field(
        description="of each text alone, in their order, without what the model reads before and behind it; estimated, "
        "rather too many, where the model is elsewhere"
    )
