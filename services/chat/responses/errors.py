"""What responses are refused for, beside what completions may be.

NotFound    ResponseNotFound · ItemNotFound
Invalid     PreviousResponseUnusable · ConversationUnkeepable · ResponseUnkeepable · CallsUnanswered
"""

from shared.errors import Invalid, NotFound


class ResponseNotFound(NotFound):
    code = "chat.response_not_found"
    meaning = (
        "There is no such response of the caller's: it was deleted, is older than a day, gave way to newer ones, "
        "or was not to be stored."
    )
    default_detail = "There is no such response, or no longer."


class ItemNotFound(NotFound):
    code = "chat.item_not_found"
    meaning = (
        "A reference in `input` leads to nothing that a stored response of the caller's has said, and to no item of "
        "the conversation that is named."
    )

    def __init__(self, place: int) -> None:
        super().__init__("There is no such item, or no longer.", at=(f"/input/{place}/id", "not_found"))


class PreviousResponseUnusable(Invalid):
    code = "chat.previous_response_unusable"
    meaning = "`previous_response_id` is of a response that has not been answered."

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The response is {status}: it has no answer to go on from.", at=("/previous_response_id", "unusable")
        )


class ConversationUnkeepable(Invalid):
    code = "chat.conversation_unkeepable"
    meaning = (
        "With its citations the conversation holds more than is kept with one response (`RUN_MIB`): ask for it with "
        "`store` false, or begin a new conversation."
    )

    def __init__(self) -> None:
        super().__init__(
            "With its citations the conversation is more than is kept with a response; `store` false keeps none of it.",
            at=("/conversation", "too_large_to_keep"),
        )


class ResponseUnkeepable(Invalid):
    code = "chat.response_unkeepable"
    meaning = (
        "With all that was said and shown before, the input is more than is kept with one response (`RUN_MIB`): "
        "ask with `store` false."
    )

    def __init__(self) -> None:
        super().__init__(
            "With what was said before, the input is more than is kept with a response; `store` false keeps none.",
            at=("/input", "too_large_to_keep"),
        )


class CallsUnanswered(Invalid):
    code = "chat.calls_unanswered"
    meaning = "A result in `input` answers no call that was made just before it, or a call has no result."

    def __init__(self, what: str) -> None:
        super().__init__(what, at=("/input", "calls_not_answered"))
