"""Who may do what in Consul: a policy and a token for each who talks to it, put where they are missing.

`make up` does it for the Consul it starts; in containers this is a program of its own, which goes on looking, since a
Consul whose volume was lost knows nobody. Standard library and topology only.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from local import probes
from local.errors import NotReady
from local.secrets import consul_gossip_key, consul_token
from services.topology import SERVICES

FIRST_WITH_INITIAL_MANAGEMENT: Final = (1, 11)
FIRST_WITH_DNS_TOKEN: Final = (1, 17)
NODE: Final = "sutazai"
"""What our Consuls call themselves."""
READS: Final = 'node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }'
REGISTERING: Final = (*SERVICES, "tasks-worker", "faiss", "portal")
AGENT, DNS, GATEWAY, PROMETHEUS = "agent", "dns", "gateway", "prometheus"


def _settings_of(name: str) -> str:
    """Whoever may write them may change the process."""
    return f'key_prefix "sutazai/{name}/" {{ policy = "read" }}'


RULES: Final[Mapping[str, str]] = {
    **{name: f'service "{name}" {{ policy = "write" }} {_settings_of(name)} {READS}' for name in REGISTERING},
    GATEWAY: READS,
    DNS: READS,
    PROMETHEUS: READS,
    AGENT: f'node "{NODE}" {{ policy = "write" }} {READS}',
}
"""The holders of tokens, and what each may; what is not said is denied."""
OWN_SERVICE: Final = "consul"
PAUSE_SECONDS: Final = 5.0


def guard(management: str, version: tuple[int, int]) -> dict[str, Any]:
    """What our Consul's configuration says of who may talk to it, as its version spells it.

    A question by DNS has no token. Where Consul knows one for that alone, whoever has none may ask nothing over HTTP;
    an older one takes its default token, with which anybody may read names, addresses and ports, and do nothing.
    """
    tokens = {
        "initial_management" if version >= FIRST_WITH_INITIAL_MANAGEMENT else "master": management,
        "dns" if version >= FIRST_WITH_DNS_TOKEN else "default": consul_token(management, DNS),
        "agent": consul_token(management, AGENT),
    }
    acl = {"enabled": True, "default_policy": "deny", "down_policy": "deny", "tokens": tokens}
    return {"acl": acl, "encrypt": consul_gossip_key(management)}


class ConsulAccess:
    """The policies and tokens of one Consul. Every call may be repeated; each raises NotReady where Consul does not."""

    def __init__(self, url: str, management: str) -> None:
        self._url, self._management = url.rstrip("/"), management

    def put(self) -> int:
        """How many policies and tokens there were to put."""
        policies = {one["Name"]: one for one in self._get("/v1/acl/policies")}
        if not policies.keys() & {_policy(holder) for holder in RULES}:
            self._forget_all()
        put = sum(self._put_policy(holder, policies.get(_policy(holder))) for holder in RULES)
        tokens = {one["AccessorID"] for one in self._get("/v1/acl/tokens")}
        return put + sum(self._put_token(holder, tokens) for holder in RULES)

    def _put_policy(self, holder: str, known: Mapping[str, Any] | None) -> bool:
        version = f"SutazAI {hashlib.sha256(RULES[holder].encode()).hexdigest()[:16]}"  # lists are without the rules
        if known and known["Description"] == version:
            return False
        place = f"/v1/acl/policy/{known['ID']}" if known else "/v1/acl/policy"
        self._ask("PUT", place, {"Name": _policy(holder), "Description": version, "Rules": RULES[holder]})
        return True

    def _put_token(self, holder: str, known: set[str]) -> bool:
        accessor = consul_token(self._management, f"{holder} accessor")
        if accessor in known:
            return False
        token = {
            "AccessorID": accessor,
            "SecretID": consul_token(self._management, holder),
            "Description": f"SutazAI {holder}",
            "Policies": [{"Name": _policy(holder)}],
        }
        self._ask("PUT", "/v1/acl/token", token)
        return True

    def _forget_all(self) -> None:
        """What was registered before anybody was asked who they are is nobody's. Ours register again."""
        for id in self._get("/v1/agent/services"):
            self._ask("PUT", f"/v1/agent/service/deregister/{probes.quoted(id)}")
        for name in self._get("/v1/catalog/services").keys() - {OWN_SERVICE}:
            for one in self._get(f"/v1/catalog/service/{probes.quoted(name)}"):
                self._ask("PUT", "/v1/catalog/deregister", {"Node": one["Node"], "ServiceID": one["ServiceID"]})

    def _get(self, path: str) -> Any:
        return json.loads(self._ask("GET", path))

    def _ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> bytes:
        body = json.dumps(content).encode() if content is not None else None
        return probes.ask(method, self._url + path, body, headers=token_header(self._management))


def token_header(token: str) -> dict[str, str]:
    """How Consul is told who asks."""
    return {"X-Consul-Token": token}


def _policy(holder: str) -> str:
    return f"sutazai-{holder}"


def main() -> None:
    """Keeps a Consul so, until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of Consul, http://host:port")
    parser.add_argument("management", type=Path, help="the file with its management token")
    parser.add_argument("ready", type=Path, help="a file that is there while all is put")
    chosen = parser.parse_args()
    access, ready = ConsulAccess(chosen.url, chosen.management.read_text().strip()), chosen.ready
    while True:
        try:
            if count := access.put():
                print(f"{count} policies and tokens put", flush=True)
            ready.touch()
        except (NotReady, ValueError) as error:
            ready.unlink(missing_ok=True)
            print(f"to be tried again: {error}", file=sys.stderr, flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
