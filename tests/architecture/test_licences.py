"""What ships may ship: every package says its licence, and it is one that asks no more than to be named."""

import json
import re
from email.message import Message
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement

from deploy import licences
from tests.architecture.conftest import REPOSITORY

PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0"),
    *("PSF-2.0", "Python-2.0", "Unlicense", "Zlib"),
}
OF_FILES = {"MPL-2.0"}
"""Asks for the source of its own files when these are changed; ours are not."""


@pytest.fixture(scope="module")
def shipped() -> dict[str, list[licences.Package]]:
    return licences.shipped()


def test_every_package_that_ships_may(shipped: dict[str, list[licences.Package]]) -> None:
    said = {one.name: set(re.findall(r"[\w.-]+", one.licence)) for packages in shipped.values() for one in packages}

    assert {name: names for name, names in said.items() if names - PERMISSIVE - OF_FILES - {"AND", "OR"}} == {}


def test_every_image_of_ours_has_a_bill_of_all_that_it_installs(shipped: dict[str, list[licences.Package]]) -> None:
    containers = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"].values()
    built = {one["build"]["args"]["SERVICE"] for one in containers if "build" in one}

    bill = licences.bill("auth", "1.2.3", shipped["auth"])

    assert built == set(licences.IMAGES) == set(shipped)
    assert {one["purl"] for one in bill["components"]} == {
        f"pkg:pypi/{one.name}@{str(one.specifier)[2:]}" for one in licences.locked("auth")
    }
    assert all(one["licenses"][0]["expression"] for one in bill["components"])
    assert bill["dependencies"][0]["ref"] == bill["metadata"]["component"]["bom-ref"] == "sutazai/auth:1.2.3"
    assert json.dumps(bill) == json.dumps(licences.bill("auth", "1.2.3", reversed(shipped["auth"])))


def test_it_is_of_the_python_of_the_images_and_not_of_the_one_here() -> None:
    names = {f"{one.name}{one.specifier}" for image in licences.IMAGES for one in licences.locked(image)}

    assert names >= licences.READ_ELSEWHERE.keys()
    assert not any(name.startswith("async-timeout==") for name in names)  # of a Python before 3.11.3


def test_the_texts_of_licences_are_passed_on(shipped: dict[str, list[licences.Package]]) -> None:
    text = "".join(licences.texts(shipped))

    assert "Permission is hereby granted, free of charge" in text
    assert "Mozilla Public License" in text


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ({"License-Expression": "MIT OR Apache-2.0", "License": "GPL-3.0"}, "MIT OR Apache-2.0"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"License": "x" * 61, "Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
    ],
)
def test_a_licence_is_told_in_many_ways(said: dict[str, str], licence: str) -> None:
    assert licences.licence_of("some", told(said)) == licence


@pytest.mark.parametrize("said", [{}, {"Classifier": "License :: OSI Approved :: BSD License"}, {"License": "mine"}])
def test_what_is_not_understood_is_for_somebody_to_read(said: dict[str, str]) -> None:
    with pytest.raises(licences.Unknown, match="some names no licence"):
        licences.licence_of("some", told(said))


def test_what_is_not_installed_as_locked_has_no_bill() -> None:
    with pytest.raises(licences.Unknown, match="make bootstrap"):
        licences.package_of(Requirement("fastapi==0.0.1"))


def told(said: dict[str, str]) -> metadata.PackageMetadata:
    found = metadata.metadata("fastapi")
    assert isinstance(found, Message)
    for name in ("License-Expression", "License", "Classifier"):
        del found[name]
    for name, value in said.items():
        found[name] = value
    return found
