"""Imports of tools, as callers ask for them."""

from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from services.agents.openapi.domain import MOST_OPERATIONS
from services.agents.tools.checks import plain_url, refused
from services.agents.tools.schemas import ImportedToolName, TimeoutSeconds, ToolRead
from shared.schemas import LargeModel, ResponseModel, Text

_SECRET: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"  # noqa: S105 - what names look like
_MOST_SCHEMES: Final = 16
_EXAMPLE: Final = {
    "openapi": "3.1.0",
    "servers": [{"url": "https://weather.example.com/v1"}],
    "paths": {
        "/{city}": {
            "get": {
                "operationId": "getForecast",
                "summary": "The weather of a city.",
                "parameters": [{"name": "city", "in": "path", "required": True, "schema": {"type": "string"}}],
            }
        }
    },
}


class ToolsImport(LargeModel):
    """Operations of a document of OpenAPI, by the names that their tools are to have."""

    document: dict[str, Any] | None = Field(
        default=None, description="OpenAPI 3.0 or 3.1; either this or `url`", examples=[_EXAMPLE]
    )
    url: Annotated[Text, Field(min_length=8, max_length=2048)] | None = Field(
        default=None, description="where the document is, as JSON of 2 MiB at most; either this or `document`"
    )
    operations: Annotated[
        dict[ImportedToolName, Annotated[Text, Field(min_length=1, max_length=256)]],
        Field(
            min_length=1,
            max_length=MOST_OPERATIONS,
            description="the `operationId` of each, by the name of its tool",
            examples=[{"forecast": "getForecast"}],
        ),
    ]
    server: Annotated[Text, Field(min_length=8, max_length=1024)] | None = Field(
        default=None, description="where the API is, if not at the first server that the document names"
    )
    secrets: Annotated[
        dict[Annotated[Text, Field(min_length=1, max_length=128)], Annotated[str, Field(pattern=_SECRET)]],
        Field(
            max_length=_MOST_SCHEMES,
            description="the secret for each security scheme: a token for `bearer`, a key for `apiKey` in a header, "
            "`user:password` in base64 for `basic`",
            examples=[{}],
        ),
    ] = {}
    needs_approval: bool = Field(default=False, description="whether a person has to agree to each call")
    timeout_seconds: TimeoutSeconds = 20.0

    @model_validator(mode="after")
    def _has_one_document(self) -> Self:
        if (self.document is None) == (self.url is None):
            raise refused("one_document", "give either `document` or `url`")
        for address in (self.url, self.server):
            if address is not None:
                plain_url(address)
        if self.server is not None and set("?#") & set(self.server):
            raise refused("url_refused", "a server's URL has neither ? nor #")
        return self


class ImportedToolRead(ResponseModel):
    """A tool that was made of an operation."""

    operation: str = Field(description="its `operationId`")
    is_new: bool = Field(description="whether there was none of this name before")
    left_out: list[str] = Field(description="what the operation takes and the tool does not send; none of it required")
    tool: ToolRead


class ToolsImportedRead(ResponseModel):
    """All that were asked for."""

    tools: list[ImportedToolRead]
