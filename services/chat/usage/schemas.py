"""Usage on the wire."""

from datetime import date

from pydantic import Field

from services.chat.usage.domain import GroupBy, Row, Usage
from shared.schemas import ResponseModel


class UsageRow(ResponseModel):
    """What one group has used up."""

    group: str | None = Field(
        description="the day, the id of the agent, key or user, or the model; null for no key, and where a day had too "
        "many different ones"
    )
    runs: int = Field(description="whose turn had come: a message that ends while it waits for it has used nothing")
    failed_runs: int
    cancelled_runs: int
    prompt_tokens: int = Field(description="as providers counted them; estimated where one did not, or was left")
    completion_tokens: int = Field(description="likewise")
    cost: float | None = Field(description="by the prices of `LLM_MODELS` when it was used; null where there were none")
    first_token_ms: float | None = Field(description="mean, from asking a model to its first text; null without any")
    duration_ms: float | None = Field(description="mean, of whole runs; null without any")

    @classmethod
    def of(cls, row: Row) -> "UsageRow":
        return cls(
            group=row.group,
            runs=row.runs,
            failed_runs=row.of("failed"),
            cancelled_runs=row.of("cancelled"),
            prompt_tokens=row.of("prompt_tokens"),
            completion_tokens=row.of("completion_tokens"),
            cost=row.cost,
            first_token_ms=row.first_token_ms,
            duration_ms=row.duration_ms,
        )


class UsageReportRead(ResponseModel):
    """What was used up within some days."""

    first_day: date
    last_day: date
    group_by: GroupBy
    rows: list[UsageRow] = Field(description="days in order; all else by falling tokens; those with nothing left out")
    is_truncated: bool = Field(description="whether there are more groups than the 1,000 that are shown")
    kept_bytes: int = Field(description="what all conversations hold now, of messages and metadata, whatever the days")
    kept_bytes_limit: int | None = Field(description="where `chat.kept_too_much` begins; null without a limit")

    @classmethod
    def of(cls, usage: Usage) -> "UsageReportRead":
        return cls(
            first_day=usage.first,
            last_day=usage.last,
            group_by=usage.group_by,
            rows=[UsageRow.of(row) for row in usage.rows],
            is_truncated=usage.is_truncated,
            kept_bytes=usage.kept_bytes,
            kept_bytes_limit=usage.kept_bytes_limit,
        )
