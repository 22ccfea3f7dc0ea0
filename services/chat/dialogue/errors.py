"""What completions are refused for, beside what every turn may be.

NotFound    ModelNotFound
Invalid     PromptTooLong · OptionRefused
BadRequest  ApprovalNeeded
"""

from collections.abc import Sequence

from shared.errors import BadRequest, Invalid, NotFound


class ModelNotFound(NotFound):
    code = "chat.model_not_found"
    meaning = "`model` is no agent's id or name in the tenant, and no model that a provider offers."

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no agent and no model {name!r}.", at=("/model", "model_not_found"))


class PromptTooLong(Invalid):
    """Of a history that its caller gives nothing is left out."""

    code = "chat.prompt_too_long"
    meaning = "The messages, with the agent's instructions and the tools, are more than the model's window holds."

    def __init__(self, needed_tokens: int | None = None, allowed_tokens: int | None = None) -> None:
        told = "The messages are more than the model's window holds."
        if needed_tokens is not None:
            told = f"The messages need about {needed_tokens} tokens; a prompt may have {allowed_tokens}."
        super().__init__(told, at=("/messages", "too_long_for_model"))


class OptionRefused(Invalid):
    """What a caller asks for is not silently left out."""

    code = "chat.option_refused"
    meaning = "The provider of the model does not take a member of the request, or not with this value: leave it out."

    def __init__(self, option: str) -> None:
        super().__init__(f"The model does not take {option!r} as it is given.", at=(f"/{option}", "not_taken"))


class ApprovalNeeded(BadRequest):
    """No conflict: clients repeat those by themselves, and each repetition would wait for another approval."""

    code = "chat.approval_needed"
    meaning = (
        "The agent wants to call a tool that a person is to approve first: the run waits, and the message says where."
    )

    def __init__(self, run_id: str, call_ids: Sequence[str]) -> None:
        calls = ", ".join(f"POST /api/v1/chat/runs/{run_id}/approvals/{call_id}" for call_id in call_ids)
        super().__init__(
            f"A call waits for an approval, and its run with it: decide by {calls}, "
            f"and read the answer from GET /api/v1/chat/runs/{run_id}/events.",
            members={"run_id": run_id},
        )
