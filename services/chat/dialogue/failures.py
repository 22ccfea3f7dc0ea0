"""What a run may end with, and what it may be refused with, where it is asked for as OpenAI's clients do."""

from typing import Final

from services.chat import errors
from services.chat.runs.logs import RunsKeptTooMuch, RunTooLong
from shared.errors import ServiceError, UpstreamFailed, UpstreamTimeout

OF_A_RUN: Final[tuple[type[ServiceError], ...]] = (
    errors.ModelUnknown,
    errors.AgentNotFound,
    errors.RunNotFound,
    errors.RunCancelled,
    errors.TokensUsedUp,
    errors.ModelRefused,
    errors.AnswerEmpty,
    errors.AnswerOffSchema,
    errors.ToolStepsExceeded,
    errors.ModelTimeout,
    RunsKeptTooMuch,
    RunTooLong,
    UpstreamFailed,
    UpstreamTimeout,
)
