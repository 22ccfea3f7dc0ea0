"""Generates every secret of a suite once and keeps them in one file that only its owner can read."""

import base64
import json
import os
import secrets as random
import string
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

SERVICES: Final = ("auth", "agents", "chat", "vectors", "tasks", "portal")
CLIENTS: Final = ("agents", "chat", "vectors", "tasks")
"""Services that ask things of auth, and prove themselves to it."""
ADMIN_EMAIL: Final = "admin@sutazai.dev"


def _password() -> str:
    """Letters and digits only: 142 bits that need no quoting anywhere and never look like an option."""
    return "".join(random.choice(string.ascii_letters + string.digits) for _ in range(24))


def _key() -> str:
    return base64.urlsafe_b64encode(random.token_bytes(32)).decode()


@dataclass(frozen=True)
class Secrets:
    """The secrets of one suite. All are URL-safe text, so they need no quoting in URLs and configuration files."""

    postgres_password: str
    redis_password: str
    rabbitmq_user: str
    rabbitmq_password: str
    neo4j_password: str
    cursor_secret: str
    api_key_pepper: str
    key_encryption_key: str
    audit_key: str
    admin_password: str
    client_secrets: dict[str, str]

    @classmethod
    def generate(cls) -> "Secrets":
        return cls(
            postgres_password=_password(),
            redis_password=_password(),
            rabbitmq_user=f"sutazai-{random.token_hex(4)}",
            rabbitmq_password=_password(),
            neo4j_password=_password(),
            cursor_secret=random.token_urlsafe(48),
            api_key_pepper=random.token_urlsafe(48),
            key_encryption_key=_key(),
            audit_key=random.token_urlsafe(48),
            admin_password=_password(),
            client_secrets={service: random.token_urlsafe(32) for service in CLIENTS},
        )


def load_or_create(path: Path) -> Secrets:
    """The secrets of `path`, generated there with mode 0600 when there is no such file.

    The file appears whole or not at all, so two first starts at once agree on the one that came first. Secrets that a
    newer version needs are added to an older file.
    """
    generated = asdict(Secrets.generate())
    if not path.exists():
        _create(path, generated)
    kept = json.loads(path.read_text())
    if missing := generated.keys() - kept.keys():  # a home of an older version
        kept |= {name: generated[name] for name in missing}
        _draft(path, kept).rename(path)
    return Secrets(**kept)


def _draft(path: Path, secrets: dict[str, object]) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{random.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(secrets, indent=2))
    return draft


def _create(path: Path, secrets: dict[str, object]) -> None:
    draft = _draft(path, secrets)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another start created it first; its secrets hold
    finally:
        draft.unlink()
