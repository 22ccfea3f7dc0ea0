"""What is to be logged, before it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.auth.trust.audit.actions import CHANGES, REPEATABLE, Action
from shared.identity import Caller

_OTHERS = {"others": True}


@dataclass(frozen=True, slots=True)
class Noted:
    """What is to be logged. `actor` did `action` to `target`; ids, never secrets."""

    action: Action
    actor: str | None
    tenant_id: str | None
    target: str | None
    source: str | None
    trace_id: str
    details: dict[str, Any]
    at: datetime | None = None
    """When it was done; None for now."""
    times: int = 1
    """How often, where another process has counted; only repetitions are more."""

    @property
    def is_repeatable(self) -> bool:
        """Whether repetitions of it are counted."""
        return self.action in REPEATABLE or self.action in CHANGES

    @property
    def said_ever_shorter(self) -> Sequence["Noted"]:
        """Itself, then as one of many: about its target, in its tenant, at all. A change is said whole or not at all.

        Each stands for all that the one before it stands for, and more.
        """
        if self.action in CHANGES:
            return (self,)
        of_target = replace(self, actor=None, source=None, details=_OTHERS)
        of_tenant = replace(of_target, target=None)
        return self, of_target, of_tenant, replace(of_tenant, tenant_id=None)


def acting(caller: Caller) -> dict[str, str]:
    """The details that say by what the caller acts: the service that does it for them (`act`, as in a token), the key.

    A login says nothing more.
    """
    named = {"act": caller.actor, "key_id": caller.key_id}
    return {name: value for name, value in named.items() if value}
