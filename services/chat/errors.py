"""What chat refuses, and how its model fails.

NotFound         AgentNotFound · ConversationNotFound · MessageNotFound · RunNotFound · CallNotFound
Conflict         RunActive · QueueFull · TurnExpired · RunEnded · RunCancelled · CallDecided · ApprovalExpired ·
                 ConversationOfOtherAgent · ConversationFull · TooManyConversations · KeptTooMuch ·
                 ForkTooLarge · NothingToAnswer
Invalid          MessageTooLong · ModelUnknown · EventUnknown
UpstreamFailed   ModelRefused · AnswerEmpty · AnswerOffSchema · ToolStepsExceeded
Unavailable      ModelUnavailable · Interrupted · Overloaded · StreamsFull · SearchesFull
RateLimited      TokensUsedUp · ForkedTooMuch
UpstreamTimeout  ModelTimeout
"""

from collections.abc import Sequence

from shared.errors import Conflict, Invalid, NotFound, RateLimited, Unavailable, UpstreamFailed, UpstreamTimeout

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


class QueueFull(Conflict):
    code = "chat.queue_full"
    meaning = "As many messages wait for their turn in the conversation as may: send this one again later."

    def __init__(self) -> None:
        super().__init__("As many messages wait in this conversation as may.", headers={"Retry-After": "2"})


class TurnExpired(Conflict):
    code = "chat.turn_expired"
    meaning = "The conversation was busy for too long: the message did not have its turn, and may be sent again."

    def __init__(self) -> None:
        super().__init__("The message has waited for its turn too long; send it again.", headers={"Retry-After": "2"})


class RunEnded(Conflict):
    code = "chat.run_ended"
    meaning = "The run had ended before it could be cancelled, or its calls decided on."

    def __init__(self, state: str) -> None:
        super().__init__(f"The run has {state} already.")


class RunCancelled(Conflict):
    """What those hear who wait for the answer of a run that somebody cancels."""

    code = "chat.run_cancelled"
    meaning = "The run was cancelled before there was an answer; the message is kept if its turn had come."
    default_detail = "The run was cancelled; there is no answer."


class CallNotFound(NotFound):
    code = "chat.call_not_found"
    meaning = "The run has no such call that waited for an approval."
    default_detail = "The run has no such call that waited for an approval."


class CallDecided(Conflict):
    """The first word counts: the call may have been made by now."""

    code = "chat.call_decided"
    meaning = "The call was decided before, and otherwise."
    default_detail = "The call was decided before, and otherwise."


class ApprovalExpired(Conflict):
    code = "chat.approval_expired"
    meaning = "Nobody decided on the calls in time: the run has failed, and its message may be sent again."
    default_detail = "Nobody decided on the calls of this run in time."


class ConversationOfOtherAgent(Conflict):
    code = "chat.conversation_of_other_agent"
    meaning = "The conversation is with another agent: begin a new one."
    default_detail = "This conversation is with another agent; leave out conversation_id to begin a new one."


class NothingToAnswer(Conflict):
    code = "chat.nothing_to_answer"
    meaning = "The conversation has no agent yet, or no message of a user among its last ones: send it a message."
    default_detail = "There is no agent in this conversation, or no question at its end, that could be asked again."


class ConversationFull(Conflict):
    code = "chat.conversation_full"
    meaning = "The conversation has as many messages as one may have: begin a new one."
    default_detail = "This conversation has as many messages as one may have; begin a new one."


class TooManyConversations(Conflict):
    code = "chat.too_many_conversations"
    meaning = "The user has as many conversations as one may have: delete some."
    default_detail = "There are as many conversations as one user may have; delete some first."


class KeptTooMuch(Conflict):
    code = "chat.kept_too_much"
    meaning = "Conversations of the user, or of the tenant, hold as many bytes as they may: delete some."

    def __init__(self, *, of_tenant: bool = False) -> None:
        whose = "this tenant" if of_tenant else "this user"
        super().__init__(f"The conversations of {whose} hold as much as they may; delete some first.")


class ForkTooLarge(Conflict):
    code = "chat.fork_too_large"
    meaning = "More was said up to the message than a fork copies: fork at an earlier one, or begin a new conversation."
    default_detail = "More was said up to this message than a fork copies."


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
    """No provider offers the model an agent names, or several do; then `among` says how to name each of them."""

    code = "chat.model_unknown"
    meaning = "The agent names a model that no configured provider offers, or that several do: `provider/model` is one."

    def __init__(self, model: str, *, among: Sequence[str] = ()) -> None:
        if among:
            super().__init__(f"Several providers offer the model {model!r}: name one of {', '.join(among)}.")
        else:
            super().__init__(f"No configured provider offers the model {model!r}.")


class EventUnknown(Invalid):
    """An id that no event of the run has, as after a mix-up of two runs."""

    code = "chat.event_unknown"
    meaning = "`Last-Event-ID` names an event that the run has not had: leave it out to hear all."

    def __init__(self, number: int) -> None:
        super().__init__(f"The run has had no event {number}.", at=("header/Last-Event-ID", "unknown_event"))


class TokensUsedUp(RateLimited):
    """A budget of tokens bears the turn no more, with what runs under way have reserved."""

    code = "chat.tokens_used_up"
    meaning = "The tokens of the key, user or tenant for this day (UTC) are used up or reserved; nothing was kept."

    def __init__(self, whose: str, limit: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"The {limit} tokens that this {whose} may use in a day do not suffice for the message.",
            retry_after_seconds=retry_after_seconds,
        )


class ForkedTooMuch(RateLimited):
    code = "chat.forked_too_much"
    meaning = "The user's forks have copied as much as they may in a day; `Retry-After` says when they may again."

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            "Your forks have copied as much as they may in a day.", retry_after_seconds=retry_after_seconds
        )


class ContextExceeded(Exception):
    """The provider counted more tokens than its model's window holds; a shorter prompt may do."""


class ModelRefused(UpstreamFailed):
    """The provider answered, but not with text: wrong credentials, a parameter it does not take, no valid protocol."""

    code = "chat.model_refused"
    meaning = "The model refused the request or gave an answer that makes no sense."
    default_detail = "The model did not accept the request or gave an invalid answer."


class AnswerEmpty(UpstreamFailed):
    """The generation ended as it should, but without a text, a tool call or a refusal."""

    code = "chat.answer_empty"
    meaning = "The model ended without an answer, be it that it thought until its limit; the message is kept."

    def __init__(self, finish_reason: str, *, has_thought: bool) -> None:
        if finish_reason == "length":
            did = "thought until its limit" if has_thought else "reached its limit"
            detail = f"The model {did} without an answer."
        elif finish_reason == "content_filter":
            detail = "The provider's filter withheld the answer."
        else:
            detail = "The model thought, and gave no answer." if has_thought else "The model gave no answer."
        super().__init__(detail)


class AnswerOffSchema(UpstreamFailed):
    code = "chat.answer_off_schema"
    meaning = "Asked twice, the model gave no answer that fits `response_schema`; the message is kept."

    def __init__(self, problem: str) -> None:
        super().__init__(f"The model gave no answer of the form asked for: {problem}"[:1_000])


class ToolStepsExceeded(UpstreamFailed):
    code = "chat.tool_steps_exceeded"
    meaning = "The model went on calling tools without an answer for as many steps as a run may have."

    def __init__(self, steps: int) -> None:
        super().__init__(f"The model has called tools for {steps} steps without an answer.")


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
    """The process that was answering, or held a message that waits, stopped."""

    code = "chat.interrupted"
    meaning = "The process that was answering stopped; the message is kept if its turn had come. It may be sent again."

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


class SearchesFull(Unavailable):
    """As many wait for their search, of all or of one user, as may."""

    code = "chat.searches_full"
    meaning = "Too many searches for words at once; nothing was looked for."

    def __init__(self) -> None:
        super().__init__("chat", retry_after_seconds=1, detail="Too many searches at once; try again in a moment.")
