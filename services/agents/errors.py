"""What agents refuses.

NotFound  AgentNotFound
Conflict  AgentNameTaken
"""

from shared.errors import Conflict, NotFound


class AgentNotFound(NotFound):
    """No such agent, or one of another tenant: the caller cannot tell which."""

    code = "agents.not_found"
    meaning = "There is no such agent, or it belongs to another tenant."
    default_detail = "There is no such agent."


class AgentNameTaken(Conflict):
    """Names identify agents inside a tenant; letter case and width make no difference."""

    code = "agents.name_taken"
    meaning = "Another agent of the tenant has this name; letter case makes no difference."
    default_detail = "Another agent has this name already."
