"""The README's commands, word for word, on the running suite."""

import re
import subprocess

import httpx
import pytest

from local.layout import REPOSITORY
from local.suite import Suite
from tests.fixtures.given_gateway import address_of

ADDRESS = "localhost:10200"


def commands(title: str) -> str:
    """The shell blocks of one section."""
    readme = (REPOSITORY / "README.md").read_text()
    section = re.split(rf"^## {title}$", readme, flags=re.MULTILINE)[1].split("\n## ")[0]
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE))


def run(script: str, suite: Suite) -> str:
    script = script.replace(ADDRESS, address_of(suite).partition("://")[2])
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_one_request_works(suite: Suite, gateway: httpx.AsyncClient) -> None:
    [request] = [line for line in commands("Start").splitlines() if line.startswith("curl")]

    assert '"status":"pass"' in run(request, suite)


@pytest.mark.timeout(300)
def test_the_main_job_works_as_written(suite: Suite, gateway: httpx.AsyncClient) -> None:
    printed = run(commands("The main job"), suite)

    assert '"status":"succeeded"' in printed
    assert re.search(r'"results":\[\{"id":"green', printed)
    assert printed.rstrip().splitlines()[-1].startswith("data: ")
    assert "event: run.completed" in printed
    assert '"content":"Green tea is steeped in water of 80 degrees for two minutes. [1]"' in printed
