"""Everything that the audit log may say was done: docs/audit.md explains each, and a test holds the two together."""

from typing import Final

from shared.words import Word


class Action(Word):
    """What was done, in the past tense, to the thing before the dot."""

    USER_REGISTERED = "user.registered"
    USER_REGISTERED_AGAIN = "user.registered_again"
    USER_RENAMED = "user.renamed"
    USER_DISPLACED = "user.displaced"
    USER_LISTED = "user.listed"
    USER_READ = "user.read"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    USER_UNLOCKED = "user.unlocked"

    EMAIL_PROVED = "email.proved"
    EMAIL_CHANGE_ASKED = "email.change_asked"
    EMAIL_CHANGED = "email.changed"

    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_REFUSED = "login.refused"
    LOGIN_HELD_OFF = "login.held_off"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - a name
    PASSWORD_REFUSED = "password.refused"  # noqa: S105 - a name
    PASSWORD_FORGOTTEN = "password.forgotten"  # noqa: S105 - a name
    PASSWORD_RESET = "password.reset"  # noqa: S105 - a name
    SESSION_ENDED = "session.ended"
    SESSION_TOKEN_REPEATED = "session.token_repeated"  # noqa: S105 - a name
    SESSION_TOKEN_REUSED = "session.token_reused"  # noqa: S105 - a name

    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - a name
    TOKEN_INTROSPECTED = "token.introspected"  # noqa: S105 - a name
    TOKEN_FORGED = "token.forged"  # noqa: S105 - a name
    API_KEY_CREATED = "api_key.created"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    API_KEY_LOOKED_UP = "api_key.looked_up"
    API_KEY_REFUSED = "api_key.refused"
    CLIENT_REFUSED = "client.refused"
    DELEGATION_GIVEN = "delegation.given"
    DELEGATION_REFUSED = "delegation.refused"
    ACCESS_REFUSED = "access.refused"
    CREDENTIAL_REFUSED = "credential.refused"

    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_REMOVED = "member.removed"
    INVITATION_CREATED = "invitation.created"
    INVITATION_WITHDRAWN = "invitation.withdrawn"
    INVITATION_ACCEPTED = "invitation.accepted"
    INVITATION_REFUSED = "invitation.refused"

    SIGNING_KEY_ROTATED = "signing_key.rotated"
    AUDIT_READ = "audit.read"

    AGENT_CREATED = "agent.created"
    AGENT_UPDATED = "agent.updated"
    AGENT_RESTORED = "agent.restored"
    AGENT_DELETED = "agent.deleted"
    AGENT_IMPORTED = "agent.imported"
    RELATION_CREATED = "relation.created"
    RELATION_UPDATED = "relation.updated"
    RELATION_DELETED = "relation.deleted"
    SECRET_CREATED = "secret.created"  # noqa: S105 - a name
    SECRET_UPDATED = "secret.updated"  # noqa: S105 - a name
    SECRET_DELETED = "secret.deleted"  # noqa: S105 - a name
    TOOL_CREATED = "tool.created"
    TOOL_UPDATED = "tool.updated"
    TOOL_DELETED = "tool.deleted"
    CONVERSATION_UPDATED = "conversation.updated"
    CONVERSATION_DELETED = "conversation.deleted"
    MESSAGE_DELETED = "message.deleted"
    RESPONSE_DELETED = "response.deleted"
    RUN_CANCELLED = "run.cancelled"
    CALL_APPROVED = "call.approved"
    CALL_DENIED = "call.denied"
    COLLECTION_CREATED = "collection.created"
    COLLECTION_DELETED = "collection.deleted"
    COLLECTION_EXPORTED = "collection.exported"
    COLLECTION_IMPORTED = "collection.imported"
    RECORD_DELETED = "record.deleted"
    ALIAS_CREATED = "alias.created"
    ALIAS_SWITCHED = "alias.switched"
    ALIAS_DELETED = "alias.deleted"
    FILE_CREATED = "file.created"
    FILE_DELETED = "file.deleted"
    TASK_CANCELLED = "task.cancelled"
    TASK_REPLAYED = "task.replayed"
    TASK_DISCARDED = "task.discarded"
    SCHEDULE_CREATED = "schedule.created"
    SCHEDULE_UPDATED = "schedule.updated"
    SCHEDULE_PAUSED = "schedule.paused"
    SCHEDULE_RESUMED = "schedule.resumed"
    SCHEDULE_DELETED = "schedule.deleted"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_UPDATED = "webhook.updated"
    WEBHOOK_ROTATED = "webhook.rotated"
    WEBHOOK_REPLAYED = "webhook.replayed"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_DELETED = "webhook.deleted"

    SETTING_CHANGED = "setting.changed"


ELSEWHERE: Final = frozenset(
    {
        Action.AGENT_CREATED,
        Action.AGENT_UPDATED,
        Action.AGENT_RESTORED,
        Action.AGENT_DELETED,
        Action.AGENT_IMPORTED,
        Action.RELATION_CREATED,
        Action.RELATION_UPDATED,
        Action.RELATION_DELETED,
        Action.SECRET_CREATED,
        Action.SECRET_UPDATED,
        Action.SECRET_DELETED,
        Action.TOOL_CREATED,
        Action.TOOL_UPDATED,
        Action.TOOL_DELETED,
        Action.CONVERSATION_UPDATED,
        Action.CONVERSATION_DELETED,
        Action.MESSAGE_DELETED,
        Action.RESPONSE_DELETED,
        Action.RUN_CANCELLED,
        Action.CALL_APPROVED,
        Action.CALL_DENIED,
        Action.COLLECTION_CREATED,
        Action.COLLECTION_DELETED,
        Action.COLLECTION_EXPORTED,
        Action.COLLECTION_IMPORTED,
        Action.RECORD_DELETED,
        Action.ALIAS_CREATED,
        Action.ALIAS_SWITCHED,
        Action.ALIAS_DELETED,
        Action.FILE_CREATED,
        Action.FILE_DELETED,
        Action.TASK_CANCELLED,
        Action.TASK_REPLAYED,
        Action.TASK_DISCARDED,
        Action.SCHEDULE_CREATED,
        Action.SCHEDULE_UPDATED,
        Action.SCHEDULE_PAUSED,
        Action.SCHEDULE_RESUMED,
        Action.SCHEDULE_DELETED,
        Action.WEBHOOK_CREATED,
        Action.WEBHOOK_UPDATED,
        Action.WEBHOOK_ROTATED,
        Action.WEBHOOK_REPLAYED,
        Action.WEBHOOK_DISABLED,
        Action.WEBHOOK_DELETED,
    }
)
"""What other services tell that was done (`services.auth.trust.consumers`)."""

OF_A_SERVICE: Final = frozenset({Action.SETTING_CHANGED})
"""What they tell of themselves, which is no tenant's."""

REFUSED_ELSEWHERE: Final = frozenset({Action.TOKEN_FORGED, Action.ACCESS_REFUSED})
"""What they tell that they refused; nothing else is believed of them."""

REPEATABLE: Final = frozenset(
    {
        Action.USER_LISTED,
        Action.USER_READ,
        Action.LOGIN_REFUSED,
        Action.LOGIN_HELD_OFF,
        Action.PASSWORD_REFUSED,
        Action.SESSION_TOKEN_REPEATED,
        Action.TOKEN_INTROSPECTED,
        Action.TOKEN_FORGED,
        Action.API_KEY_LOOKED_UP,
        Action.API_KEY_REFUSED,
        Action.CLIENT_REFUSED,
        Action.DELEGATION_GIVEN,
        Action.DELEGATION_REFUSED,
        Action.ACCESS_REFUSED,
        Action.CREDENTIAL_REFUSED,
        Action.INVITATION_REFUSED,
        Action.AUDIT_READ,
    }
)
"""Refusals and reads: they change nothing, so anybody may cause them without end. Repetitions are counted, and where
there are too many of different kinds, the log says less of each."""
CHANGES: Final = frozenset(
    {
        Action.USER_RENAMED,
        Action.AGENT_UPDATED,
        Action.AGENT_RESTORED,
        Action.RELATION_UPDATED,
        Action.SECRET_UPDATED,
        Action.TOOL_UPDATED,
        Action.CONVERSATION_UPDATED,
        Action.RECORD_DELETED,
        Action.TASK_CANCELLED,
        Action.SCHEDULE_UPDATED,
        Action.SCHEDULE_PAUSED,
        Action.SCHEDULE_RESUMED,
        Action.WEBHOOK_UPDATED,
        Action.WEBHOOK_ROTATED,
        Action.WEBHOOK_REPLAYED,
    }
)
"""Changes that the same person may make to the same thing again and again. Repetitions are counted, and nothing else is
left out: there are no more kinds of them than people and things."""
