"""The names of everything chat keeps in Redis.

All keys of one user share a hash tag, so they live in one slot of a cluster and may change together:

    chat:{tenant:user}:conversations              sorted set, conversation id by time of last activity in ms
    chat:{tenant:user}:conversation:<id>          hash, the conversation
    chat:{tenant:user}:conversation:<id>:messages stream, one entry a message
    chat:{tenant:user}:conversation:<id>:lease    text, the run that is answering now; expires unless renewed
    chat:{tenant:user}:conversation:<id>:runs     set, runs whose events may still be kept
    chat:{tenant:user}:run:<id>                   hash, the state of a run
    chat:{tenant:user}:run:<id>:events            stream, one entry an event, numbered from 1
"""

from services.chat.domain import Owner


class Keys:
    """The keys of one owner."""

    def __init__(self, owner: Owner) -> None:
        self._root = f"chat:{{{owner.tenant_id}:{owner.user_id}}}"

    @property
    def conversations(self) -> str:
        return f"{self._root}:conversations"

    def conversation(self, conversation_id: str) -> str:
        return f"{self._root}:conversation:{conversation_id}"

    def messages(self, conversation_id: str) -> str:
        return f"{self.conversation(conversation_id)}:messages"

    def lease(self, conversation_id: str) -> str:
        return f"{self.conversation(conversation_id)}:lease"

    def runs(self, conversation_id: str) -> str:
        return f"{self.conversation(conversation_id)}:runs"

    def run(self, run_id: str) -> str:
        return f"{self._root}:run:{run_id}"

    def events(self, run_id: str) -> str:
        return f"{self.run(run_id)}:events"
