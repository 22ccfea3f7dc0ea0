"""What a caller of completions or responses gives with a question, in place of a conversation that is kept here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from services.chat.generation import PromptMessage, ToolSpec
from shared.words import Word


class Door(Word):
    """By which a run came."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    RESPONSES = "responses"


@dataclass(frozen=True, slots=True)
class FileSearch:
    """Vector stores that the model may search, by their ids, and how: `most` results that score `threshold` at least,
    by words too where `by_words`, and of what `filters` are true of, in OpenAI's language."""

    stores: Sequence[str]
    most: int
    by_words: bool = True
    threshold: float | None = None
    filters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A whole history, and how its answer is wanted.

    `options` go to the provider as they are. `tools` are the caller's: a call of one is handed out, and never made
    here. `tool_choice` is `auto`, `none`, `required`, or the object that names one of them.
    """

    messages: Sequence[PromptMessage]
    tokens: int
    """About how many the messages have, by the vocabulary of the model that is asked."""
    tools: Sequence[ToolSpec] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    tool_choice: Any = None
    calls_one: bool = False
    """Whether of several calls in one step only the first is handed out."""
    answer_tokens: int | None = None
    answer_name: str = "answer"
    """What the form of the answer is called, where one is demanded."""
    files: FileSearch | None = None
    door: Door = Door.COMPLETIONS
    kept: bytes = b""
    """What is kept of the request with its run, for as long as that is."""
    joins: Sequence[Mapping[str, Any]] | None = None
    """Where it is answered in a conversation, the messages that this gets before the answer, as they are kept."""
    version: int = 0
    """That of the conversation whose messages are among these."""

    @property
    def offered(self) -> Sequence[ToolSpec]:
        """The caller's tools that the model is told of."""
        return () if self.tool_choice == "none" else self.tools

    @property
    def searched(self) -> FileSearch | None:
        """What the model may search."""
        return None if self.tool_choice == "none" else self.files

    @property
    def demands_call(self) -> bool:
        """Whether one of them, or the search, is to be called, whatever else there is."""
        return self.tool_choice == "required" or isinstance(self.tool_choice, Mapping)

    def asked(self, *, has_called: bool) -> dict[str, Any]:
        """What the provider is told beside messages, tools and form; that one is to be called until one was."""
        if not self.offered and not self.searched:
            return dict(self.options)
        choice = {} if self.tool_choice is None or has_called else {"tool_choice": self.tool_choice}
        return {**self.options} | choice | ({"parallel_tool_calls": False} if self.calls_one else {})


def given_members(given: Given | None) -> dict[str, Any] | None:
    """As it lies while its run waits; the messages lie with the rest of what the model was told, and what is kept with
    the run."""
    return None if given is None else {**asdict(given), "messages": [], "kept": ""}


def given_from(members: Mapping[str, Any] | None) -> Given | None:
    """From how it lay."""
    if members is None:
        return None
    tools = [ToolSpec(**tool) for tool in members["tools"]]
    files = FileSearch(**members["files"]) if members.get("files") else None
    door = Door(members.get("door", Door.COMPLETIONS))
    return Given(**{**members, "tools": tools, "files": files, "door": door, "kept": b""})
