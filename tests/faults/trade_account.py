"""Sessions and API keys: logged in, refreshed, made, used."""

import random
import time

from tests.faults.answers import Caller, Unanswered
from tests.faults.ledger import Findings
from tests.faults.trades import API, Trade
from tests.fixtures.identity import User

# Within it a token whose successor was lost on the way is given the same one again; later it ends its session.
_SAME_SUCCESSOR_SECONDS = 10.0
_REFUSED = 401
# A user may have a hundred, and those whose answer was lost on the way are among them.
_MOST_KEYS = 30
_LOGS_IN = 1 / 3
_OPENED = f"{API}/agents/list?limit=1"  # of many, one is enough to see that a key opens


class Account(Trade):
    """A chain of refreshed tokens that never breaks, and keys that open."""

    def __init__(self, caller: Caller, mark: str, user: User) -> None:
        super().__init__(caller, mark)
        self._user, self._refresh_token = user, ""
        self._keys: list[str] = []

    async def prepare(self) -> None:
        """A session of its own: where a lost answer ends the chain, the tokens of everybody else's work go on."""
        await self._log_in()

    async def turn(self) -> None:
        await self._refresh()
        await self._use(await self._make_key() if len(self._keys) < _MOST_KEYS else random.choice(self._keys))
        if random.random() < _LOGS_IN:
            await self._log_in()

    async def _log_in(self) -> None:
        form = {"grant_type": "password", "username": self._user.email, "password": self._user.password}
        tokens = (await self.caller.insist("POST", f"{API}/auth/token", 200, data=form)).json()
        self._refresh_token = tokens["refresh_token"]

    async def _refresh(self) -> None:
        """The next token of the chain. The one thing that may end it is an answer lost for longer than it is kept."""
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        began = first_lost = time.monotonic()
        expected: tuple[int, ...] = (200,)
        while True:
            try:
                answer = await self.caller.ask("POST", f"{API}/auth/token", *expected, data=form)
            except Unanswered as error:
                await self.caller.wait_a_moment(began + self.caller.patience_seconds, error)
                late = time.monotonic() - first_lost > _SAME_SUCCESSOR_SECONDS
                expected = (200, _REFUSED) if late else (200,)
                continue
            if answer.status_code == _REFUSED:
                return await self._log_in()
            self._refresh_token = answer.json()["refresh_token"]
            return None

    async def _make_key(self) -> str:
        """A key; one whose answer was lost on the way stays behind unused, for it has no `Idempotency-Key`."""
        body = {"name": self.next_mark(), "scopes": ["agents:read"]}
        key = str((await self.caller.insist("POST", f"{API}/auth/api-keys", 201, json=body)).json()["key"])
        self._keys.append(key)
        return key

    async def _use(self, key: str) -> None:
        await self._opener(key).insist("GET", _OPENED, 200)

    def _opener(self, key: str) -> Caller:
        return Caller(self.caller.http, self.caller.tally, {"X-API-Key": key}, self.caller.patience_seconds)

    async def read_back(self) -> Findings:
        findings = Findings()
        for number, key in enumerate(self._keys, 1):
            answer = await self._opener(key).insist("GET", _OPENED, 200, _REFUSED)
            findings.kept(f"API key {number} of {self.mark}", holds=answer.status_code == 200)
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        answer = await self.caller.insist("POST", f"{API}/auth/token", 200, _REFUSED, data=form)
        findings.kept(f"session of {self.mark}", holds=answer.status_code == 200)
        return findings
