"""Envoy as it last ran, started first of all when the gateway starts again with the same configuration.

The compiled bootstrap and the endpoints lie in the state directory, so a gateway that was killed serves in the time
that Envoy takes alone; reading, compiling and asking Consul go on beside it. It imports next to nothing for that.
"""

import ctypes
import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

DEFAULT_KONG_CONFIG = Path("gateway/kong.yml")
DEFAULT_STATE_DIR = Path(".local/gateway")
# What an answer says of a request too broken to have a path or an id, in the environment of the process.
FALLBACKS = {"GATEWAY_NO_PATH": "/", "GATEWAY_NO_TRACE": "0" * 32}
_NOTE = "last-start.json"
_PREFIXES = (
    "GATEWAY_",
    "KONG_",
    "CONSUL_URL",
    "DISCOVERY",
    "STATIC_SERVICES",
    "TLS_AUTHORITY_FILE",
    "OTEL_",
    "SSL_CERT_",
)
_PR_SET_PDEATHSIG = 1


def start() -> "subprocess.Popen[bytes] | None":
    """Envoy, starting; None when it never ran here, or anything that it was compiled from has changed since."""
    state_dir = Path(os.environ.get("GATEWAY_STATE_DIR") or DEFAULT_STATE_DIR)
    try:
        note = json.loads((state_dir / _NOTE).read_text())
        if note["fingerprint"] != _fingerprint(Path(os.environ.get("KONG_CONFIG") or DEFAULT_KONG_CONFIG)):
            return None
        return spawn(note["command"])
    except (OSError, ValueError, LookupError, TypeError):
        return None  # the start that follows makes all of it anew, and says what is wrong


def remember(state_dir: Path, kong_config: Path, command: Sequence[str]) -> None:
    """For the next start: this command works with the configuration as it is now. Raises OSError."""
    part = state_dir / f"{_NOTE}.part"
    part.write_text(json.dumps({"fingerprint": _fingerprint(kong_config), "command": list(command)}))
    part.replace(state_dir / _NOTE)


def forget(state_dir: Path) -> None:
    """What is being written from here on is not to be started before it has worked. Raises OSError."""
    (state_dir / _NOTE).unlink(missing_ok=True)


def spawn(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """The process; it ends with this one. Raises OSError."""
    return subprocess.Popen(  # noqa: S603 - the command is our own
        command,
        env={**os.environ, **FALLBACKS},
        process_group=0,  # Ctrl-C is for us alone: Envoy is drained first
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread of ours holds a lock that it takes
    )


def _fingerprint(kong_config: Path) -> str:
    """Of all that the bootstrap is compiled from: the file, the settings and the compiler."""
    found = hashlib.sha256()
    for part in _parts(kong_config):
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()


def _parts(kong_config: Path) -> Iterator[bytes]:
    yield kong_config.read_bytes()
    for name, value in sorted(os.environ.items()):
        if name.upper().startswith(_PREFIXES):
            yield f"{name}={value}".encode()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        yield source.read_bytes()


def _die_with_parent() -> None:
    """Runs in the child between fork and exec: killed without warning, we still leave no Envoy behind (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
