"""The body of every error answer (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field

PROBLEM_JSON = "application/problem+json"


class FieldProblem(BaseModel):
    """One bad field of a refused request."""

    pointer: str = Field(description="JSON pointer into the body, or `query/name`, `path/name`, `header/name`")
    code: str
    detail: str


class Problem(BaseModel):
    """The body of every error answer (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/docs/errors#common.not_found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no such resource.",
                    "code": "common.not_found",
                    "instance": "/api/v1/agents/01890a5d-ac96-774b-bcce-b302099a8057",
                    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                }
            ]
        }
    )

    type: str = Field(description="where this code is documented")
    title: str
    status: int
    detail: str
    code: str = Field(description="stable, safe to branch on")
    instance: str = Field(description="the path that was asked for")
    trace_id: str = Field(description="quote it to an operator: it finds the logs and the trace")
    errors: list[FieldProblem] | None = Field(default=None, description="the bad fields, on 422 and for forms on 400")


PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
