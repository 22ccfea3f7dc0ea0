#!/usr/bin/env python3
"""What our images are made of and under which licences, read from the installed packages: `make licences`.

Writes a bill of materials for each image (CycloneDX 1.6, JSON), one table of all packages, and the texts of their
licences. The same packages give the same files, byte for byte. They are those that the lock has for the Python of the
images, which may be newer than the one here. A package that is not here as locked, or says in no way that is known
what its licence is, ends it with code 1: somebody has to read it.
"""

import json
import re
import sys
import tomllib
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement

REPOSITORY: Final = Path(__file__).resolve().parents[1]
PLACE: Final = REPOSITORY / ".local" / "licences"
IMAGES: Final = ("auth", "agents", "chat", "vectors", "tasks", "portal", "llm")
"""Each has a file of `requirements/`; the worker, the node and consul-access are images of these."""
LONGEST_NAME: Final = 60
"""Of a licence; some put the text where the name belongs."""
IN_OTHER_WORDS: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "PSF-2.0": "PSF-2.0",
}
READ: Final = {
    "cobble": "BSD-2-Clause",
    "cronsim": "BSD-3-Clause",
    "httpx-aiohttp": "BSD-3-Clause",
    # And PDFium with what it is built of, permissive too: the texts are in its BUILD_LICENSES.
    "pypdfium2": "Apache-2.0 AND BSD-3-Clause",
    "uvloop": "Apache-2.0 OR MIT",
}
"""What the text of a licence says where its package says less."""
READ_ELSEWHERE: Final = {
    "deprecated==3.0.1": "MIT",
    "numpy==2.5.5": "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
}
"""What packages say of themselves of which the Python here takes another version; their texts are this other's."""
_PYTHON = re.compile(r"^FROM python:((\d+\.\d+)\.\d+)-", re.MULTILINE)
_LOCKED = re.compile(r"^([A-Za-z0-9][^\\\n]*==[^\\\n]+?)\s*\\?$", re.MULTILINE)
_LICENCE_FILE = re.compile(r"(^|/)(licen[sc]e|copying|notice)[^/]*$|\.dist-info/licenses/", re.IGNORECASE)


class Unknown(Exception):
    """Somebody has to look: the message says at what."""


@dataclass(frozen=True, order=True)
class Package:
    """One that ships; `licence` is an SPDX expression."""

    name: str
    version: str
    licence: str

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def locked(image: str) -> Iterator[Requirement]:
    """What the image installs: with the Python of the Dockerfile, on the platform here."""
    full, short = _PYTHON.findall((REPOSITORY / "Dockerfile").read_text())[0]
    there = {"python_full_version": full, "python_version": short, "implementation_version": full}
    for line in _LOCKED.findall((REPOSITORY / "requirements" / f"{image}.txt").read_text()):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(there):
            yield requirement


def package_of(requirement: Requirement) -> Package:
    """Raises Unknown where it is not here as locked, or tells no licence."""
    name, version = requirement.name, str(requirement.specifier).removeprefix("==")
    if read := READ_ELSEWHERE.get(f"{name}=={version}"):
        return Package(name, version, canonicalize_license_expression(read))
    try:
        installed = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise Unknown(f"{name}=={version} is not installed: make bootstrap, or READ_ELSEWHERE") from None
    if installed.version != version:
        raise Unknown(f"{name}=={version} ships, {installed.version} is here: make bootstrap, or READ_ELSEWHERE")
    return Package(name, version, licence_of(name, installed.metadata))


def licence_of(name: str, told: metadata.PackageMetadata) -> str:
    """The SPDX expression: as somebody read it, as the package says it, or as it says it in other words."""
    expression, words = (next(iter(told.get_all(header) or ()), None) for header in ("License-Expression", "License"))
    said = [READ.get(name), expression, _in_words(words), _classified(told)]
    for one in filter(None, said):
        try:
            return canonicalize_license_expression(one)
        except InvalidLicenseExpression:
            continue
    raise Unknown(f"{name} names no licence that is known here: read it, and say it in READ of {Path(__file__).name}")


def _in_words(said: str | None) -> str | None:
    return IN_OTHER_WORDS.get(said, said) if said and len(said) <= LONGEST_NAME else None


def _classified(told: metadata.PackageMetadata) -> str | None:
    """By its classifiers, where there is one that can mean one licence only."""
    kinds = {one.rpartition(":: ")[2] for one in told.get_all("Classifier") or [] if one.startswith("License ::")}
    return "MIT" if kinds == {"MIT License"} else None


def bill(image: str, version: str, packages: Iterable[Package]) -> dict[str, Any]:
    """The bill of materials of an image."""
    parts = sorted(packages)
    root = f"sutazai/{image}:{version}"
    content = json.dumps([root, *(f"{one.purl} {one.licence}" for one in parts)])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": root, "name": f"sutazai/{image}", "version": version}
        },
        "components": [_component(one) for one in parts],
        "dependencies": [{"ref": root, "dependsOn": [one.purl for one in parts]}],
    }


def _component(package: Package) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "licenses": [{"expression": package.licence}],
    }


def shipped() -> dict[str, list[Package]]:
    """By image. Raises Unknown, which names all that somebody has to look at."""
    found: dict[str, list[Package]] = {image: [] for image in IMAGES}
    unknown: dict[str, None] = {}
    for image in IMAGES:
        for requirement in locked(image):
            try:
                found[image].append(package_of(requirement))
            except Unknown as error:
                unknown[str(error)] = None
    if unknown:
        raise Unknown("\n".join(unknown))
    return found


def table(found: dict[str, list[Package]]) -> str:
    """Every package once, with the images that have it."""
    images: defaultdict[Package, list[str]] = defaultdict(list)
    for image, packages in found.items():
        for one in packages:
            images[one].append(image)
    rows = (f"| {one.name} | {one.version} | {one.licence} | {', '.join(images[one])} |\n" for one in sorted(images))
    return "| package | version | licence | images |\n|---|---|---|---|\n" + "".join(rows)


def texts(found: dict[str, list[Package]]) -> Iterator[str]:
    """What the packages bring of licences and notices, as their licences want it passed on."""
    for package in sorted({one for packages in found.values() for one in packages}):
        yield f"{'=' * 80}\n{package.name} {package.version}: {package.licence}\n{'=' * 80}\n"
        for file in metadata.distribution(package.name).files or ():
            if _LICENCE_FILE.search(str(file)) and (path := Path(str(file.locate()))).is_file():
                yield f"--- {file.name}\n{path.read_text(errors='replace').strip()}\n\n"


def main() -> int:
    """The exit code: 1 when somebody has to look at something, which is named."""
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    try:
        found = shipped()
    except Unknown as error:
        sys.stderr.write(f"{error}\n")
        return 1
    PLACE.mkdir(parents=True, exist_ok=True)
    for image, packages in found.items():
        (PLACE / f"{image}.cdx.json").write_text(json.dumps(bill(image, version, packages), indent=1) + "\n")
    (PLACE / "packages.md").write_text(table(found))
    (PLACE / "texts.txt").write_text("".join(texts(found)))
    count = len({one for packages in found.values() for one in packages})
    sys.stdout.write(f"{count} packages in {len(found)} images: {PLACE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
