"""Grafana is given what the program writes; that its queries find something is in tests/e2e/test_metrics.py."""

import json

import yaml

from deploy.observability import dashboards
from local.consul_access import REGISTERING
from services.topology import SERVICES
from tests.architecture.conftest import COMPOSE_SCRIPTS, REPOSITORY, Service

GRAFANA = REPOSITORY / "deploy" / "observability" / "grafana"
PROVISIONING = "/etc/grafana/provisioning"


def test_each_service_has_the_dashboard_that_make_docs_writes() -> None:
    kept = {file: file.read_text() for file in dashboards.PLACE.iterdir()}

    assert {file.stem for file in kept} == set(SERVICES)
    assert kept == dashboards.written()


def test_prometheus_has_a_job_for_every_process_and_the_gateway() -> None:
    told = yaml.safe_load((REPOSITORY / "deploy" / "observability" / "prometheus.yml").read_text())

    consul = json.loads((COMPOSE_SCRIPTS / "consul.json").read_text())
    asked = {one["datacenter"] for job in told["scrape_configs"] for one in job.get("consul_sd_configs", [])}

    assert {job["job_name"] for job in told["scrape_configs"]} == {*REGISTERING, "kong"}
    assert asked == {consul.get("datacenter", "dc1")}


def test_panels_are_told_apart_and_none_lies_over_another() -> None:
    for text in dashboards.written().values():
        panels = json.loads(text)["panels"]

        assert len({panel["title"] for panel in panels}) == len(panels)
        assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)


def test_what_dashboards_and_sources_ask_is_there(all_services: dict[str, Service]) -> None:
    sources = yaml.safe_load((GRAFANA / "sources.yaml").read_text())["datasources"]
    provider = yaml.safe_load((GRAFANA / "provider.yaml").read_text())["providers"][0]
    mounted = {mount["target"] for mount in all_services["grafana"]["volumes"]}

    assert dashboards.PROMETHEUS["uid"] in {source["uid"] for source in sources}
    assert {source["url"].split("/")[2].split(":")[0] for source in sources} <= all_services.keys()
    assert provider["options"]["path"] in mounted
    assert {f"{PROVISIONING}/{kind}/sutazai.yaml" for kind in ("datasources", "dashboards")} <= mounted


def test_traces_find_their_way_from_the_collector_to_jaeger(all_services: dict[str, Service]) -> None:
    place = REPOSITORY / "deploy" / "observability"
    collector, jaeger = (yaml.safe_load((place / name).read_text()) for name in ("collector.yaml", "jaeger.yaml"))
    [exporter] = collector["exporters"].values()
    host, _, port = exporter["endpoint"].partition(":")

    assert host in all_services
    assert jaeger["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] == f"0.0.0.0:{port}"
    for told in (collector, jaeger):
        used = told["service"]["pipelines"]["traces"]
        assert {kind: set(used[kind]) for kind in used} == {kind: set(told[kind]) for kind in used}
        assert set(told["service"].get("extensions", [])) == set(told.get("extensions", {}))
