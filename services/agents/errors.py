"""What agents refuses.

NotFound  AgentNotFound, VersionNotFound, RelationNotFound, SecretNotFound, ToolNotFound
Conflict  AgentNameTaken, TooManyRelations, TooManySecrets, SecretInUse, TooManyTools, ToolInUse
Invalid   RelationToItself, DocumentTooNew, SecretUnknown, SecretElsewhere, SecretUnencrypted, ToolUnknown,
          ToolArgumentsInvalid, OpenApiUnreadable, OperationInexpressible
"""

from collections.abc import Sequence

from services.agents.relations.domain import MOST_RELATIONS
from services.agents.secrets.domain import MOST_SECRETS
from services.agents.tools.domain import MOST_TOOLS
from shared.errors import Conflict, FieldProblem, Invalid, NotFound

_MOST_PROBLEMS = 20


class AgentNotFound(NotFound):
    """No such agent, or one of another tenant: the caller cannot tell which."""

    code = "agents.not_found"
    meaning = "There is no such agent, or it belongs to another tenant."
    default_detail = "There is no such agent."


class VersionNotFound(NotFound):
    """The agent is there, and has no such version, or no longer: the newest 1,000 are kept."""

    code = "agents.version_not_found"
    meaning = "The agent has no version of this number, or it is older than the 1,000 that are kept."

    def __init__(self, version: int) -> None:
        super().__init__(f"The agent has no version {version}.")


class AgentNameTaken(Conflict):
    """Names identify agents inside a tenant; letter case and width make no difference."""

    code = "agents.name_taken"
    meaning = "Another agent of the tenant has this name; letter case makes no difference."
    default_detail = "Another agent has this name already."


class RelationNotFound(NotFound):
    """Both agents are there, and the first has no such relation to the second."""

    code = "agents.relation_not_found"
    meaning = "Both agents are there, and the first has no relation of this type to the second."
    default_detail = "The agent has no such relation to the other one."


class TooManyRelations(Conflict):
    """A bound on what one agent is in the middle of."""

    code = "agents.too_many_relations"
    meaning = f"An agent has {MOST_RELATIONS} relations at most, in both directions together; `detail` names it."

    def __init__(self, agent_id: str) -> None:
        super().__init__(f"The agent {agent_id} has {MOST_RELATIONS} relations, and may have no more.")


class RelationToItself(Invalid):
    """An agent that delegates to itself would only be asked again."""

    code = "agents.relation_to_itself"
    meaning = "Both ends of the relation are the same agent."

    def __init__(self, pointer: str = "path/other_id") -> None:
        super().__init__("An agent has no relation to itself.", at=(pointer, "relation_to_itself"))


class DocumentTooNew(Invalid):
    """A later release wrote it, and nobody here knows what it means."""

    code = "agents.document_too_new"
    meaning = "The document has a `format_version` that this release does not know; a later one wrote it."

    def __init__(self) -> None:
        super().__init__(
            "A later release wrote this document; this one reads format_version 2.",
            at=("/format_version", "document_too_new"),
        )


class SecretNotFound(NotFound):
    code = "agents.secret_not_found"
    meaning = "The tenant has no secret of this name."
    default_detail = "There is no such secret."


class TooManySecrets(Conflict):
    code = "agents.too_many_secrets"
    meaning = f"A tenant has {MOST_SECRETS} secrets at most."
    default_detail = f"The tenant has {MOST_SECRETS} secrets, and may have no more."


class SecretInUse(Conflict):
    """Taken away, it would leave tools that fail."""

    code = "agents.secret_in_use"
    meaning = "Tools name the secret, of which `detail` names some: change or delete them first."

    def __init__(self, tools: Sequence[str]) -> None:
        super().__init__(f"The secret is named by the tools {_listed(tools)}.")


class SecretUnknown(Invalid):
    code = "agents.secret_unknown"
    meaning = "A header names a secret that the tenant does not have."

    def __init__(self, pointer: str, secret: str) -> None:
        super().__init__(f"There is no secret {secret}.", at=(pointer, "secret_unknown"))


class SecretElsewhere(Invalid):
    """A tool that would carry a credential to whom it is not for."""

    code = "agents.secret_elsewhere"
    meaning = "A header names a secret whose `hosts` do not have the host of `url`."

    def __init__(self, pointer: str, secret: str, host: str) -> None:
        super().__init__(f"The secret {secret} may not be sent to {host}.", at=(pointer, "secret_elsewhere"))


class SecretUnencrypted(Invalid):
    """A tool that would carry a credential where everybody on the way reads it."""

    code = "agents.secret_unencrypted"
    meaning = (
        "A header names a secret, and `url` is not https: in the open one is sent only to hosts that the operator "
        "names (`OUTBOUND_ALLOW`)."
    )

    def __init__(self, pointer: str, secret: str, host: str) -> None:
        super().__init__(
            f"The secret {secret} may not be sent to {host} over http: write https.", at=(pointer, "secret_unencrypted")
        )


class ToolNotFound(NotFound):
    """Of another tenant, or that the agent does not name: the caller cannot tell which."""

    code = "agents.tool_not_found"
    meaning = "The tenant has no tool of this name, or the agent does not name it."
    default_detail = "There is no such tool."


class TooManyTools(Conflict):
    code = "agents.too_many_tools"
    meaning = f"A tenant defines {MOST_TOOLS} tools at most."
    default_detail = f"The tenant has {MOST_TOOLS} tools, and may define no more."


class ToolInUse(Conflict):
    """Taken away, it would leave agents that name nothing."""

    code = "agents.tool_in_use"
    meaning = "Agents name the tool, or what its server would have no more; `detail` names some: change them first."

    def __init__(self, agents: Sequence[str]) -> None:
        super().__init__(f"The tool is named by the agents {_listed(agents)}.")


class ToolUnknown(Invalid):
    """Named by an agent, and neither built in nor defined."""

    code = "agents.tool_unknown"
    meaning = "An agent names a tool that is neither built in nor defined by the tenant; `errors` says which."

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__("An agent names only tools that are there.", errors=problems)


class OpenApiUnreadable(Invalid):
    """Nothing came from its address, or something else."""

    code = "agents.openapi_unreadable"
    meaning = "The OpenAPI document at `url` could not be had, or is no JSON within the bounds; `detail` says why."

    def __init__(self, detail: str) -> None:
        super().__init__(detail, at=("/url", "openapi_unreadable"))


class OperationInexpressible(Invalid):
    """No tool is made of it, and none of the others."""

    code = "agents.operation_inexpressible"
    meaning = (
        "An operation is not there, or requires what no tool can say; `errors` has the places, those in the document "
        "below `/document`, also of one that was read from `url`."
    )

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__("A tool cannot be made of an operation.", errors=problems[:_MOST_PROBLEMS])


class ToolArgumentsInvalid(Invalid):
    """What a model made up does not fit."""

    code = "agents.tool_arguments_invalid"
    meaning = "The arguments do not fit the tool's schema; `errors` says where."

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__("The arguments do not fit the tool.", errors=problems)


def escaped(member: str) -> str:
    """As a JSON pointer has it."""
    return member.replace("~", "~0").replace("/", "~1")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
