"""`echo`: the smallest real task."""

from typing import Any

from pydantic import ConfigDict, RootModel

from services.tasks.kinds.kind import Context, Kind


class EchoInput(RootModel[dict[str, Any]]):
    """Any object."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "hello"}]})


async def _echo(context: Context, given: EchoInput) -> dict[str, Any]:
    context.progress(1, 1)
    return given.root


ECHO = Kind(
    name="echo",
    description="Returns its input.",
    input_model=EchoInput,
    run=_echo,
    timeout_seconds=30,
)
