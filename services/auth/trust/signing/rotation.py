"""Rotation: the key that was published before begins to sign, and the one after it is published."""

from datetime import UTC, datetime

from services.auth.events import SigningKeyPublished, publish
from services.auth.trust.audit.actions import Action
from services.auth.trust.signing.repository import SigningKeyRepository
from services.auth.trust.signing.ring import KeyRing
from services.auth.trust.work import Works
from shared.postgres import Outbox


class TooEarly(Exception):
    """The next key was published a moment ago; not everybody knows it yet."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the next key may sign in {seconds:.1f} s")
        self.seconds = seconds


class Rotation:
    def __init__(self, works: Works, ring: KeyRing, outbox: Outbox, publish_seconds: float) -> None:
        self._works, self._ring, self._outbox = works, ring, outbox
        self._publish_seconds = publish_seconds

    async def rotate(self) -> str:
        """The id of the key that signs from now on. Raises TooEarly while services may not know it."""
        async with self._works.begin() as work:
            keys = SigningKeyRepository(work.session)
            current, following = await keys.get_current_and_next()
            age = (datetime.now(UTC) - following.created_at).total_seconds()
            if age < self._publish_seconds:
                raise TooEarly(self._publish_seconds - age)
            successor = self._ring.make_next()
            await keys.promote(current, following, successor)
            publish(self._outbox, work.session, SigningKeyPublished(key_id=successor["id"]))
            work.note(Action.SIGNING_KEY_ROTATED, target=following.id, previous=current.id, published=successor["id"])
        self._outbox.notify()
        await self._ring.reload()
        return following.id
