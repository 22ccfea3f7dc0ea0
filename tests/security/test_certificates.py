"""The certificates inside: what a process starts with, and how they are made, renewed and rotated."""

import asyncio
import ssl
import sys
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from pydantic import ValidationError

from gateway.portal.main import create_app
from gateway.portal.settings import Settings as PortalSettings
from local import certificates
from local.certificates import AUTHORITY, PROCESSES, certificate
from local.suite import READ_AGAIN_SECONDS
from shared.health import Finding
from shared.platform.starting import refusals
from shared.settings import CannotStart
from shared.tls import RELOAD_SECONDS, Tls
from tests.architecture.conftest import COMPOSE_SCRIPTS
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.gateway.running import gateway
from tests.security.inside import EXPIRED, calling, genuine, put_certificate, tls_of

AGENTS = "/api/v1/agents/list"


# --- What a process starts with ---------------------------------------------------------------------------------------


def settings_with(**files: Any) -> PortalSettings:
    return PortalSettings(discovery="static", environment="local", **files)


@pytest.mark.parametrize("left_out", ["certificate", "key", "authority"])
def test_half_of_it_is_refused_by_name(made: Path, left_out: str) -> None:
    pem = certificate(made, "portal")
    files = {"tls_certificate_file": pem, "tls_key_file": pem, "tls_authority_file": made / AUTHORITY}
    del files[f"tls_{left_out}_file"]

    with pytest.raises(ValidationError) as refusal:
        settings_with(**files)

    said = " ".join(refusals(refusal.value))
    assert said == f"TLS_AUTHORITY_FILE: TLS is half set: TLS_{left_out.upper()}_FILE not given"


def test_an_address_without_tls_is_refused_with_it(made: Path) -> None:
    pem = certificate(made, "portal")
    with pytest.raises(ValidationError, match="every address in STATIC_SERVICES is https"):
        PortalSettings(
            environment="local",
            static_services={"auth": "https://a:1,http://a:2"},
            tls_certificate_file=pem,
            tls_key_file=pem,
            tls_authority_file=made / AUTHORITY,
        )


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("of another", "TLS_CERTIFICATE_FILE: is not the certificate of portal"),
        ("ended", "TLS_CERTIFICATE_FILE: ended on "),
        ("no pem", "TLS_CERTIFICATE_FILE: holds no certificate"),
        ("missing", "TLS_CERTIFICATE_FILE: cannot be read: No such file"),
        ("no pair", "TLS_KEY_FILE: is of no use for TLS: KEY_VALUES_MISMATCH"),
        ("no authority", "TLS_AUTHORITY_FILE: is of no use for TLS"),
    ],
)
def test_a_certificate_that_is_no_use_stops_the_start(own: Path, spoilt: str, said: str) -> None:
    pem, key, authority = certificate(own, "portal"), certificate(own, "portal"), own / AUTHORITY
    match spoilt:
        case "of another":
            pem = key = certificate(own, "chat")
        case "ended":
            put_certificate(own, "portal", **EXPIRED)
        case "no pem":
            pem.write_text("nothing")
        case "missing":
            pem.unlink()
        case "no pair":
            key = certificate(own, "chat")
        case "no authority":
            authority.write_text("nothing")

    with pytest.raises(CannotStart) as refusal:
        create_app(settings_with(tls_certificate_file=pem, tls_key_file=key, tls_authority_file=authority))

    assert str(refusal.value).startswith(said)


@pytest.mark.parametrize(("given", "code"), [({"TLS_CERTIFICATE_FILE": "/run/secrets/tls_auth"}, 0), ({}, 1)])
async def test_the_check_of_a_container_asks_by_what_it_serves(made: Path, given: dict[str, str], code: int) -> None:
    async with genuine(tls_of(made, "auth")) as address:
        asked = address.replace("https:", "http:") + "/health/ready"  # as compose.yaml has it, with TLS and without
        check = [sys.executable, "-I", str(COMPOSE_SCRIPTS / "healthcheck.py"), asked]
        process = await asyncio.create_subprocess_exec(*check, env=given)
        found = await process.wait()

    assert found == code


# --- Made, renewed, rotated -------------------------------------------------------------------------------------------


def test_only_their_owner_reads_the_keys(made: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in made.iterdir()}

    assert modes == dict.fromkeys(
        (AUTHORITY, certificates.AUTHORITY_KEY, *(f"tls_{name}" for name in PROCESSES)), 0o600
    )


def test_making_them_again_changes_nothing(own: Path) -> None:
    before = {path.name: path.read_bytes() for path in own.iterdir()}

    assert certificates.put_missing(own) == 0
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before


def test_what_has_little_life_left_is_renewed_and_nothing_else(own: Path) -> None:
    put_certificate(own, "auth", began=timedelta(days=-61), ends=timedelta(days=29))
    put_certificate(own, "chat", began=timedelta(days=-59), ends=timedelta(days=31))
    before = {path.name: path.read_bytes() for path in own.iterdir()}

    assert certificates.put_missing(own) == 1

    changed = {path.name for path in own.iterdir() if path.read_bytes() != before[path.name]}
    renewed = x509.load_pem_x509_certificate(certificate(own, "auth").read_bytes())
    assert changed == {"tls_auth"}
    assert renewed.not_valid_after_utc - renewed.not_valid_before_utc == timedelta(days=certificates.DAYS)


async def test_readiness_warns_before_a_certificate_ends(own: Path) -> None:
    await tls_of(own, "auth").check()
    put_certificate(own, "auth", began=timedelta(days=-70), ends=timedelta(days=20))

    with pytest.raises(Finding, match="the certificate ends on "):
        await tls_of(own, "auth").check()


async def test_a_certificate_that_is_no_use_does_not_replace_one_that_is(
    own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    serving = tls_of(own, "auth")
    async with serving.followed(), genuine(serving) as address, calling(tls_of(own, "tasks"), auth=address) as client:
        certificate(own, "auth").write_text("half a fi")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "the certificate stays as it was" not in caplog.messages:  # noqa: ASYNC110 - a log is no event
                await asyncio.sleep(0.05)
        answer = await client.call("auth", "GET", "/")

    assert answer.status_code == 200


async def test_nobody_is_refused_while_all_of_it_is_rotated(own: Path, tmp_path: Path) -> None:
    """Every request makes a connection of its own: with the command's own waits, by a service and by the gateway."""
    agents, tasks = tls_of(own, "agents"), tls_of(own, "tasks")
    statuses: list[int] = []
    rotated = asyncio.Event()
    first = issuer(own)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(agents.followed())
        await stack.enter_async_context(tasks.followed())
        address = await stack.enter_async_context(genuine(agents))
        client = await stack.enter_async_context(calling(tasks, agents=address))

        def through() -> None:
            with gateway(tmp_path, {"agents": address}, TLS_AUTHORITY_FILE=str(own / AUTHORITY)) as edge:
                while not rotated.is_set():
                    statuses.append(edge.client.get(AGENTS).status_code)
                    time.sleep(0.05)
                statuses.append(edge.client.get(AGENTS).status_code)

        async def directly() -> None:
            while not rotated.is_set():
                statuses.append((await client.call("agents", "GET", AGENTS)).status_code)
                await asyncio.sleep(0.05)

        async def rotate() -> None:
            loop = asyncio.get_running_loop()
            wait = lambda: asyncio.run_coroutine_threadsafe(lived(READ_AGAIN_SECONDS), loop).result()  # noqa: E731
            await asyncio.to_thread(certificates.rotate, own, wait)
            rotated.set()

        await asyncio.gather(asyncio.to_thread(through), directly(), rotate())

    assert set(statuses) == {200}
    assert issuer(own) != first
    assert (own / AUTHORITY).read_text().count("BEGIN CERTIFICATE") == 1


async def lived(seconds: float) -> None:
    """So long at least, in which the event loop did not stand still: who follows the files does so here."""
    for _ in range(10):
        await asyncio.sleep(seconds / 10)


def issuer(directory: Path) -> str:
    made = x509.load_pem_x509_certificate(certificate(directory, "agents").read_bytes())
    return made.issuer.rfc4514_string()


def test_the_command_waits_longer_than_processes_take() -> None:
    assert READ_AGAIN_SECONDS >= 2 * RELOAD_SECONDS


def test_without_an_authority_nobody_is_believed(made: Path, strange: Path) -> None:
    """What the suite's pool believes is its own authority, and none of the system's besides."""
    tls = Tls("auth", certificate(made, "auth"), certificate(made, "auth"), made / AUTHORITY)

    assert len(tls.client.get_ca_certs()) == 1
    assert tls.client.check_hostname
    assert tls.client.verify_mode is ssl.CERT_REQUIRED
