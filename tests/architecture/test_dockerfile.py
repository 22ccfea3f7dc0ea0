"""The Dockerfile, read line by line: no engine builds it here, so what an image would hold is laid out and tried."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.apps import APPS, package_of
from tests.architecture.conftest import REPOSITORY, Service
from tests.fixtures.warm import Warm

PROGRAMS = {
    **{app: f"{package_of(app)}.main" for app in APPS},
    "tasks-worker": "services.tasks.worker.main",
    "faiss": "services.vectors.node.main",
    "consul-access": "local.consul_access --help",
}


def stages() -> dict[str, list[str]]:
    """The instructions of each stage of the Dockerfile, those it builds upon first."""
    found: dict[str, list[str]] = {}
    text = (REPOSITORY / "Dockerfile").read_text().replace("\\\n", " ")
    current: list[str] = []
    for line in text.splitlines():
        if start := re.match(r"FROM (\S+) AS (\S+)", line):
            current = found[start[2]] = list(found.get(start[1], []))
        current.append(line)
    return found


def copied(build: dict[str, Any]) -> list[tuple[str, str]]:
    """Source and destination of everything that a build takes from the project."""
    lines = [line for line in stages()[build["target"]] if line.startswith("COPY") and "--from" not in line]
    words = [
        [word for word in line.split()[1:] if not word.startswith("--")]
        for line in (line.replace("${SERVICE}", build["args"]["SERVICE"]) for line in lines)
    ]
    return [(source, destination) for source, destination in words]


def sent(path: Path) -> bool:
    """Whether a build gets this file of the project: the last pattern that matches it or a folder of it says."""
    included = True
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        matcher = re.compile(pattern_of(line.removeprefix("!")))
        if any(matcher.fullmatch(str(part)) for part in (path, *path.parents)):
            included = line.startswith("!")
    return included


def pattern_of(line: str) -> str:
    """The regular expression of a pattern as .dockerignore has them."""
    escaped = re.escape(line).replace(r"\*\*/", "(?:.*/)?")
    return escaped.replace(r"\*\*", ".*").replace(r"\*", "[^/]*")


def lay_out(source: str, target: Path) -> None:
    """Copies as COPY does: what .dockerignore keeps out is not there."""
    files = [one for one in (REPOSITORY / source).rglob("*") if one.is_file()] or [REPOSITORY / source]
    for file in files:
        if sent(file.relative_to(REPOSITORY)):
            copy = target / file.relative_to(REPOSITORY / source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def test_base_images_have_exact_tags() -> None:
    names = set(stages())
    bases = re.findall(r"^FROM (\S+)", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)

    assert [base for base in bases if base not in names] == ["python:3.14.8-slim"]


def test_images_run_as_a_user_and_check_themselves() -> None:
    for target in ("service", "portal", "llm"):
        text = "\n".join(stages()[target])
        assert "\nUSER 10001:10001\n" in text
        assert "\nHEALTHCHECK " in text


def test_no_image_of_a_service_holds_the_server_of_an_engine() -> None:
    """With its own packages ChromaDB's made vectors twice as large."""
    unused = {"chromadb", "kubernetes", "onnxruntime", "jpype1", "supervisor"}

    for service in APPS:
        locked = (REPOSITORY / "requirements" / f"{service}.txt").read_text()
        assert not unused & set(re.findall(r"^([\w-]+)==", locked, re.MULTILINE)), service


@pytest.mark.parametrize("target", ["service", "portal", "llm"])
def test_what_is_copied_may_be_read_whatever_the_umask_of_the_checkout(target: str) -> None:
    lines = stages()[target]
    copies = [at for at, line in enumerate(lines) if line.startswith("COPY") and "--from" not in line]
    opened = max(at for at, line in enumerate(lines) if line.startswith("RUN chmod -R a+rX . "))

    unopened = [lines[at] for at in copies if "--chmod=" not in lines[at] and at > opened]
    outside = [lines[at] for at in copies if "--chmod=" not in lines[at] and lines[at].split()[-1].startswith("/")]

    assert unopened == outside == []


@pytest.mark.parametrize("name", [*sorted(PROGRAMS), "llm"])
def test_what_a_build_copies_is_sent_to_it(services: dict[str, Service], name: str) -> None:
    """COPY of a file that is not there ends the build; .dockerignore names what is."""
    files = [source for source, _ in copied(services[name]["build"]) if (REPOSITORY / source).is_file()]

    assert [source for source in files if not sent(Path(source))] == []


@pytest.mark.parametrize(
    "secret", [".local/compose-secrets/admin_password", ".env", ".git/config", "tests/conftest.py"]
)
def test_nothing_private_is_sent_to_a_build(secret: str) -> None:
    assert not sent(Path(secret))


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_an_image_holds_all_that_its_program_imports(
    warm: Warm, services: dict[str, Service], tmp_path: Path, name: str
) -> None:
    build = services[name]["build"]
    for source, destination in copied(build):
        lay_out(source, tmp_path / destination.lstrip("/"))

    imported = warm.run(*PROGRAMS[name].split(), environment={"PATH": os.environ["PATH"]}, folder=tmp_path)

    assert imported.code == 0, imported.error
