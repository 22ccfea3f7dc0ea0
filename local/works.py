"""A piece of real work for each store: something is written, kept and read back; each raises NotReady with the reason.

A server can answer and be of no use: its disk is full, it has become read-only, its queues are down. What is written
lies beside the data of the services, under a name that is nobody else's, and stays as small as it is.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Final

from local import probes
from local.errors import NotReady

NAME: Final = "sutazai_check"
MESSAGE_SECONDS: Final = 5.0
COMMITTED: Final = """
CREATE TABLE IF NOT EXISTS sutazai_check (id int PRIMARY KEY, at timestamptz NOT NULL);
INSERT INTO sutazai_check VALUES (1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET at = excluded.at
"""


def postgres(psql: str, url: str) -> None:
    """A committed row."""
    probes.postgres(psql, url, COMMITTED)


def redis(url: str) -> None:
    """A key that is set and read."""
    from redis import Redis, RedisError

    value = secrets.token_hex(8)
    seconds = probes.TIMEOUT_SECONDS
    with Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds) as client:
        try:
            client.set(NAME, value, ex=60)
            found = client.get(NAME)
        except RedisError as error:
            raise NotReady(str(error)) from error
    if found != value.encode():
        raise NotReady("what was set was not found")


def neo4j(url: str, user: str, password: str) -> None:
    """A committed node."""
    probes.bolt(url, user, password, "MERGE (c:SutazaiCheck {id: 1}) SET c.at = timestamp()")


def rabbitmq(url: str, management_url: str) -> None:
    """A message through a quorum queue, and every queue that is there up."""
    from local.amqp import pass_through_quorum_queue

    try:
        pass_through_quorum_queue(*probes.amqp_place(url), MESSAGE_SECONDS)
    except TimeoutError as error:
        raise NotReady(f"no answer to a publisher within {MESSAGE_SECONDS:.0f} s") from error
    except OSError as error:
        raise NotReady(str(error)) from error
    queues = json.loads(probes.get(f"{management_url}/api/queues?columns=name,type,leader"))
    # Its `state` is what was last reported, and a queue that is down reports nothing.
    down = sorted(queue["name"] for queue in queues if queue.get("type") == "quorum" and not queue.get("leader"))
    if down:
        raise NotReady(f"queues are down: {', '.join(down[:5])}")


def chromadb(database: str) -> None:
    """A collection with a record, stored, read and deleted in the database of this address."""
    name, place = f"{NAME}_{secrets.token_hex(4)}", f"{database}/collections"
    made = json.loads(probes.ask("POST", place, json.dumps({"name": name}).encode(), (200, 201)))
    record = json.dumps({"ids": ["1"], "embeddings": [[1.0, 0.0]]}).encode()
    try:
        probes.ask("POST", f"{place}/{made['id']}/upsert", record, (200, 201))
        read = json.loads(probes.ask("POST", f"{place}/{made['id']}/get", b'{"ids": ["1"]}'))
    finally:
        probes.ask("DELETE", f"{place}/{name}")
    if read.get("ids") != ["1"]:
        raise NotReady("a record that was stored was not found")


def consul(url: str, headers: Mapping[str, str]) -> None:
    """A key that is put and read, with a token that may; none of the services' tokens does."""
    place, value = f"{url.rstrip('/')}/v1/kv/{probes.quoted(NAME)}", secrets.token_hex(8).encode()
    probes.ask("PUT", place, value, headers=headers)
    if probes.ask("GET", f"{place}?raw", headers=headers) != value:
        raise NotReady("what was put was not found")
