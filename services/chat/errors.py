"""What chat refuses, and how its model fails.

NotFound         AgentNotFound · ConversationNotFound · MessageNotFound · RunNotFound
Conflict         RunActive · RunEnded · RunCancelled · ConversationOfOtherAgent · ConversationFull ·
                 TooManyConversations
Invalid          MessageTooLong · ModelUnknown · EventUnknown
UpstreamFailed   ModelRefused
Unavailable      ModelUnavailable · Interrupted · Overloaded · StreamsFull
UpstreamTimeout  ModelTimeout
"""

from shared.errors import Conflict, Invalid, NotFound, Unavailable, UpstreamFailed, UpstreamTimeout

MODEL = "model"


class AgentNotFound(NotFound):
    code = "chat.agent_not_found"
    meaning = "The message names an agent that does not exist."

    def __init__(self, agent_id: str) -> None:
        super().__init__(f"There is no agent {agent_id}.")


class ConversationNotFound(NotFound):
    code = "chat.conversation_not_found"
    meaning = "There is no such conversation, or it is another user's, or it was forgotten."
    default_detail = "There is no such conversation."


class MessageNotFound(NotFound):
    code = "chat.message_not_found"
    meaning = "The conversation has no such message."
    default_detail = "The conversation has no such message."


class RunNotFound(NotFound):
    code = "chat.run_not_found"
    meaning = "There is no such run, or its events are no longer kept."
    default_detail = "There is no such run, or its events are no longer kept."


class RunActive(Conflict):
    """One turn at a time: a second answer would be written without knowing the first."""

    code = "chat.run_active"
    meaning = "The conversation's last message is still being answered: wait for it, or attach to its stream."

    def __init__(self) -> None:
        super().__init__("The last message of this conversation is still being answered.", headers={"Retry-After": "1"})


class RunEnded(Conflict):
    code = "chat.run_ended"
    meaning = "The run had completed or failed before it could be cancelled."

    def __init__(self, state: str) -> None:
        super().__init__(f"The run has {state} already.")


class RunCancelled(Conflict):
    """What those hear who wait for the answer of a run that somebody cancels."""

    code = "chat.run_cancelled"
    meaning = "The run was cancelled before there was an answer; the message is kept."
    default_detail = "The run was cancelled; there is no answer."


class ConversationOfOtherAgent(Conflict):
    code = "chat.conversation_of_other_agent"
    meaning = "The conversation is with another agent: begin a new one."
    default_detail = "This conversation is with another agent; leave out conversation_id to begin a new one."


class ConversationFull(Conflict):
    code = "chat.conversation_full"
    meaning = "The conversation has as many messages as one may have: begin a new one."
    default_detail = "This conversation has as many messages as one may have; begin a new one."


class TooManyConversations(Conflict):
    code = "chat.too_many_conversations"
    meaning = "The user has as many conversations as one may have: delete some."
    default_detail = "There are as many conversations as one user may have; delete some first."


class MessageTooLong(Invalid):
    """The agent's instructions and the message alone are more than a prompt may be."""

    code = "chat.message_too_long"
    meaning = "With the agent's instructions the message is more than the model's window holds."

    def __init__(self, needed_tokens: int, allowed_tokens: int) -> None:
        detail = (
            f"With the agent's instructions the message needs about {needed_tokens} tokens; "
            f"a prompt may have {allowed_tokens}."
        )
        super().__init__(detail, at=("/content", "too_long_for_model"))


class ModelUnknown(Invalid):
    """The provider does not offer the model an agent names."""

    code = "chat.model_unknown"
    meaning = "The agent names a model that the configured provider does not offer."

    def __init__(self, model: str) -> None:
        super().__init__(f"The configured provider does not offer the model {model!r}.")


class EventUnknown(Invalid):
    """An id that no event of the run has, as after a mix-up of two runs."""

    code = "chat.event_unknown"
    meaning = "`Last-Event-ID` names an event that the run has not had: leave it out to hear all."

    def __init__(self, number: int) -> None:
        super().__init__(f"The run has had no event {number}.", at=("header/Last-Event-ID", "unknown_event"))


class ContextExceeded(Exception):
    """The provider counted more tokens than its model's window holds; a shorter prompt may do."""


class ModelRefused(UpstreamFailed):
    """The provider answered, but not with text: wrong credentials, a parameter it does not take, no valid protocol."""

    code = "chat.model_refused"
    meaning = "The model refused the request or gave an answer that makes no sense."
    default_detail = "The model did not accept the request or gave an invalid answer."


class ModelUnavailable(Unavailable):
    code = "chat.model_unavailable"
    meaning = "The model cannot be reached; the message is kept."

    def __init__(self, *, retry_after_seconds: int = 2) -> None:
        super().__init__(MODEL, retry_after_seconds=retry_after_seconds)


class ModelTimeout(UpstreamTimeout):
    code = "chat.model_timeout"
    meaning = "The model did not answer in time; the message is kept."

    def __init__(self) -> None:
        super().__init__(MODEL)


class Interrupted(Unavailable):
    """The process that was answering stopped; the message is kept and may be sent again."""

    code = "chat.interrupted"
    meaning = "The process that was answering stopped; the message is kept and may be sent again."

    def __init__(self) -> None:
        super().__init__("chat", retry_after_seconds=1, detail="The answer was interrupted; send the message again.")


class Overloaded(Unavailable):
    """As many turns at once as this process may have; refused before any work."""

    code = "chat.overloaded"
    meaning = "Too many answers under way at once; nothing was tried."

    def __init__(self) -> None:
        super().__init__("chat", retry_after_seconds=2, detail="Too many turns at once; try again in a moment.")


class StreamsFull(Unavailable):
    """As many followers at once as this process may have; the run goes on."""

    code = "chat.streams_full"
    meaning = "Too many streams of events at once; the run goes on, and another replica may have room."

    def __init__(self) -> None:
        super().__init__("chat", retry_after_seconds=2, detail="Too many streams at once; try again in a moment.")
