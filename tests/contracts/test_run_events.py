"""What chat tells of runs is what tasks hears, whatever of it may be null."""

from dataclasses import fields
from types import NoneType
from typing import Any, get_args, get_type_hints

import orjson

from services.chat.events import RunTold
from services.tasks.webhooks.runs import RunHeard

_AT = "2026-11-27T04:00:00.125Z"
_FULL: dict[str, Any] = {one.name: "x" for one in fields(RunTold)} | {"finished_at": _AT, "occurred_at": _AT}
_NULLABLE: dict[str, Any] = {name: None for name, hint in get_type_hints(RunTold).items() if NoneType in get_args(hint)}


def test_tasks_hears_all_that_chat_may_tell() -> None:
    told = RunTold(**_FULL)
    least = RunTold(**(_FULL | _NULLABLE))

    heard, little = [RunHeard.model_validate_json(orjson.dumps(one.body)) for one in (told, least)]

    assert heard.data.keys() <= _FULL.keys() | {"error_code"}
    assert (heard.agent_id, little.agent_id) == ("x", None)
    assert all(getattr(little, name) is None for name in _NULLABLE)
