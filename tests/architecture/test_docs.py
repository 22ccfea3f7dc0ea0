"""The pages agree with the code, and nothing committed gives away what it must not."""

import re
import subprocess
import tomllib
from collections import Counter

import pytest

from gateway.envoy.settings import GatewaySettings
from local.layout import REPOSITORY
from services.tasks.settings import WorkerSettings
from services.topology import SERVICES
from services.vectors.settings import NodeSettings
from tests.architecture.settings_page import page, processes


def test_the_configuration_page_is_what_the_settings_say() -> None:
    assert (REPOSITORY / "docs" / "configuration.md").read_text() == page(), "run `make docs`"


def test_every_process_has_its_settings_there() -> None:
    listed = dict(processes())

    assert [listed[name] for name in ("vectors' node", "tasks' worker", "gateway")] == [
        NodeSettings, WorkerSettings, GatewaySettings,
    ]  # fmt: skip
    assert len(listed) == len(SERVICES) + 5  # the portal, and `make gateway-sync`


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_its_screen(service: str) -> None:
    readme = (REPOSITORY / "services" / service / "README.md").read_text()

    assert len(readme.splitlines()) <= 80


def tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name]


def test_links_between_pages_lead_somewhere() -> None:
    links = [
        (name, target)
        for name in tracked_files()
        if name.endswith(".md")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (REPOSITORY / name).read_text())
        if "://" not in target
    ]

    assert [link for link in links if not ((REPOSITORY / link[0]).parent / link[1]).exists()] == []


def test_the_changelog_says_a_thing_once() -> None:
    bullets = Counter(re.findall(r"^- .*(?:\n  .*)*", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE))

    assert len(bullets) > 10
    assert [bullet for bullet, times in bullets.items() if times > 1] == []


def test_the_storeys_of_the_page_are_those_that_are_held() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text()
    [told] = re.findall(r"^shared +(.*?)^auth ", page, re.MULTILINE | re.DOTALL)
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [held] = [one["layers"] for one in contracts if one.get("containers") == ["shared"]]

    storeys = [set(re.findall(r"\w+", storey)) for storey in told.split("·")]

    assert storeys == [set(re.findall(r"\w+", storey)) for storey in held]


def test_no_lock_file_names_a_registry() -> None:
    named = [
        name
        for name in tracked_files()
        if name.startswith("requirements/")
        and re.search(r"https?://|--index-url|--find-links", (REPOSITORY / name).read_text())
    ]

    assert named == []


def test_every_test_that_a_page_names_is_there() -> None:
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    named = {(page.name, path) for page in pages for path in re.findall(r"`(tests/[\w/.-]+)`", page.read_text())}

    assert len(named) > 20
    assert [one for one in sorted(named) if not (REPOSITORY / one[1]).exists()] == []
