"""The version is said in one place for each who reads it, and everywhere the same; the newest release is described."""

import json
import re
import tomllib

from shared.settings import ServiceSettings
from tests.architecture.conftest import REPOSITORY

VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]


def test_services_say_the_version_of_the_project() -> None:
    documents = [json.loads(file.read_text()) for file in (REPOSITORY / "docs" / "openapi").glob("*.json")]
    examples = re.findall(r'"version": "(\d+\.\d+\.\d+)"', (REPOSITORY / "gateway/portal/schemas.py").read_text())

    assert ServiceSettings.model_fields["version"].default == VERSION
    assert {document["info"]["version"] for document in documents} | set(examples) == {VERSION}


def test_the_changelog_describes_it_as_the_newest_release() -> None:
    headings = re.findall(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    first, newest, *_ = headings

    assert first == "Unreleased"
    assert re.fullmatch(rf"{re.escape(VERSION)} \(\d{{4}}-\d\d-\d\d\)", newest)
