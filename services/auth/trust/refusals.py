"""Notes who was refused at a door that takes users in person (`services.auth.trust.in_person.Refusals`)."""

from services.auth.trust.work import Works, acting
from shared.identity import Caller


class RefusalLog:
    def __init__(self, works: Works) -> None:
        self._works = works

    async def note(self, caller: Caller, asked: str, source: str) -> None:
        """An entry of the audit log that names the user, and the service or the key that came in their place."""
        async with self._works.begin(source) as work:
            work.note(
                "credential.refused",
                actor=caller.subject,
                tenant_id=caller.tenant_id,
                target=caller.key_id or caller.subject,
                asked=asked,
                **acting(caller),
            )
