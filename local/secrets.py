"""Generates secrets: every one of a suite, once, kept in one file that only its owner can read.

Standard library and topology only: `deploy/compose/make_secrets.py` makes the secrets of containers with it, on hosts
that have no packages.
"""

import base64
import hmac
import json
import os
import secrets as random
import string
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from services.topology import CLIENTS, SECRETS, SecretKind

ADMIN_EMAIL: Final = "admin@sutazai.dev"


def new_secret(kind: SecretKind = "password") -> str:
    """A password is 238 bits in letters and digits: it needs no quoting anywhere and never looks like an option."""
    if kind == "key":
        return base64.urlsafe_b64encode(random.token_bytes(32)).decode()
    if kind == "uuid":
        return str(uuid.uuid4())
    return "".join(random.choice(string.ascii_letters + string.digits) for _ in range(40))


def consul_token(management: str, holder: str) -> str:
    """The token of one who talks to Consul, which takes nothing but UUIDs.

    It follows from the management token, so that one secret is kept; nobody learns that one, or another's, from theirs.
    """
    return str(uuid.UUID(bytes=_of_consul(management, holder)[:16], version=4))


def consul_gossip_key(management: str) -> str:
    """What one has to know to join as a Consul of ours, which would be told everything."""
    return base64.b64encode(_of_consul(management, "gossip key")).decode()


def _of_consul(management: str, what: str) -> bytes:
    return hmac.digest(management.encode(), f"consul {what}".encode(), "sha256")


def put_new(path: Path, text: str, mode: int) -> bool:
    """Whether the file was made: it appears whole or not at all, and one that exists is kept."""
    draft = _draft(path, text, mode)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def replace(path: Path, text: str, mode: int, owner: tuple[int, int] | None = None) -> None:
    """The file is what it was or all new, whenever somebody reads it. `owner` is a user's and a group's id, else ours.

    Safe in a directory of that owner's: nothing that lies there is followed or written into.
    """
    _draft(path, text, mode, owner).rename(path)


def _draft(path: Path, text: str, mode: int, owner: tuple[int, int] | None = None) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{random.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        if owner:
            os.fchown(file.fileno(), *owner)
    return draft


@dataclass(frozen=True)
class Secrets:
    """The secrets of one suite. All are URL-safe text, so they need no quoting in URLs and configuration files."""

    postgres_password: str
    redis_password: str
    redis_cache_password: str
    rabbitmq_password: str
    neo4j_password: str
    cursor_secret: str
    api_key_pepper: str
    audit_key: str
    admin_password: str
    key_encryption_key: str
    secret_encryption_key: str
    consul_management: str
    gateway_token: str
    rabbitmq_user: str
    llm_api_key: str
    chromadb_tenant: str
    traces_key: str
    client_secrets: dict[str, str]

    @classmethod
    def generate(cls) -> "Secrets":
        return cls(
            rabbitmq_user=f"sutazai-{random.token_hex(4)}",
            llm_api_key=new_secret(),
            chromadb_tenant=new_secret(),
            traces_key=new_secret(),
            client_secrets={service: new_secret() for service in CLIENTS},
            **{name: new_secret(kind) for name, kind in SECRETS.items()},
        )


def load_or_create(path: Path) -> Secrets:
    """The secrets of `path`, generated there with mode 0600 when there is no such file.

    Two first starts at once agree on the one that came first. Secrets that a newer version needs are added to an older
    file.
    """
    generated = asdict(Secrets.generate())
    if not path.exists():
        put_new(path, json.dumps(generated, indent=2), 0o600)
    kept = json.loads(path.read_text())
    if missing := generated.keys() - kept.keys():  # a home of an older version
        kept |= {name: generated[name] for name in missing}
        replace(path, json.dumps(kept, indent=2), 0o600)
    return Secrets(**kept)
