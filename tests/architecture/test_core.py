"""compose.core.yaml over compose.yaml: all of a suite on a machine of 4 GB."""

from typing import Any

import pytest

from services.vectors.settings import Settings
from tests.architecture.conftest import REPOSITORY, ReadCompose, Service

MIB = 2**20
MACHINE_MIB = 4096
OF_THE_SYSTEM_MIB = 256
"""What is left for the kernel and the engine."""
LEFT_OUT = {"qdrant", "faiss", "llm"}


@pytest.fixture(scope="module")
def core(read_compose: ReadCompose) -> dict[str, Service]:
    found: dict[str, Service] = read_compose(REPOSITORY / "compose.yaml", REPOSITORY / "compose.core.yaml")["services"]
    return found


def limits(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service["deploy"]["resources"]["limits"]
    return found


def test_all_limits_together_fit_a_machine_of_4_gb(core: dict[str, Service]) -> None:
    allowed = sum(int(limits(service)["memory"]) for service in core.values()) / MIB

    assert allowed <= MACHINE_MIB - OF_THE_SYSTEM_MIB


def test_none_may_use_more_than_two_processors(core: dict[str, Service], all_services: dict[str, Service]) -> None:
    """Docker starts no container that may use more than there are."""
    assert [name for name, one in (all_services | core).items() if float(limits(one)["cpus"]) > 2] == []
    assert sum(int(limits(one)["pids"]) for one in core.values()) < 4096


def test_it_leaves_out_three_and_nobody_waits_for_them(core: dict[str, Service], services: dict[str, Service]) -> None:
    assert services.keys() - core.keys() == LEFT_OUT
    assert [name for name, one in core.items() if LEFT_OUT & one.get("depends_on", {}).keys()] == []


def test_each_has_less_than_without_it(core: dict[str, Service], services: dict[str, Service]) -> None:
    more = [name for name in core if int(limits(core[name])["memory"]) >= int(limits(services[name])["memory"])]

    assert more == []
    changed = {"deploy", "environment", "command", "volumes", "depends_on", "shm_size"}
    assert [
        name
        for name, one in core.items()
        if (one | dict.fromkeys(changed)) != (services[name] | dict.fromkeys(changed))
    ] == []


def test_vectors_keeps_its_collections_itself(core: dict[str, Service]) -> None:
    given = core["vectors"]["environment"]

    assert not {"QDRANT_URL", "FAISS_URL"} & given.keys()
    assert given["DATA_DIR"] in {mount["target"] for mount in core["vectors"]["volumes"]}
    own = {name: value for name, value in given.items() if name.lower() in Settings.model_fields}
    for name in ("FAISS_MAX_BYTES", "LOADED_MAX_BYTES", "EMBEDDINGS_THREADS"):
        assert Settings.model_fields[name.lower()].annotation is int
        assert int(own[name]) > 0


def test_stores_are_told_less_than_they_may_have(core: dict[str, Service]) -> None:
    def memory(name: str) -> int:
        return int(limits(core[name])["memory"]) // MIB

    conf = (REPOSITORY / "deploy" / "compose" / "rabbitmq-core.conf").read_text()
    neo4j = core["neo4j"]["environment"]
    heap, cache = (
        int(neo4j[f"NEO4J_server_memory_{one}"].removesuffix("m")) for one in ("heap_max__size", "pagecache_size")
    )

    assert int(conf.rpartition("= ")[2].removesuffix("MB\n")) < memory("rabbitmq") * 0.6
    assert heap + cache < memory("neo4j") / 2
    for name in ("redis", "redis-cache"):
        assert int(core[name]["command"][-1].removesuffix("mb")) <= memory(name) / 2
    loaded = int(core["vectors"]["environment"]["LOADED_MAX_BYTES"]) // MIB
    assert loaded <= memory("vectors") / 4


def test_what_is_left_out_starts_by_its_name(read_compose: ReadCompose) -> None:
    files = (REPOSITORY / "compose.yaml", REPOSITORY / "compose.core.yaml")

    assert read_compose(*files, profile="elsewhere")["services"].keys() >= LEFT_OUT
