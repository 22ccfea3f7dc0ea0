#!/usr/bin/env python3
"""Writes the dashboards that Grafana is given, one a service: `make docs`. What they show of all is said once, here.

Standard library only. The queries are asked of a real Prometheus by tests/e2e/test_metrics.py.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PLACE: Final = Path(__file__).parent / "grafana" / "dashboards"
PROMETHEUS: Final = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT = 8, 8
"""Of a panel; a row of Grafana's has 24."""
RATE: Final = "[$__rate_interval]"


@dataclass(frozen=True)
class Panel:
    """A graph: a query and the names of its lines."""

    title: str
    query: str
    legend: str
    unit: str = "short"


def quantile(name: str, jobs: str, *, by: str = "") -> str:
    """The 95th percentile of a histogram."""
    return f"histogram_quantile(0.95, sum by (le{by and ', ' + by}) (rate({name}_bucket{{{jobs}}}{RATE})))"


def rate(name: str, jobs: str, by: str) -> str:
    """How often a second, by a label."""
    return f"sum by ({by}) (rate({name}{{{jobs}}}{RATE}))"


def common(jobs: str) -> Iterator[Panel]:
    """What every process says of itself (shared/telemetry)."""
    requests = "http_server_request_duration_seconds"
    yield Panel("Requests", rate(f"{requests}_count", jobs, "job, route"), "{{job}} {{route}}", "reqps")
    refused = f'{jobs},status=~"4..|5.."'
    yield Panel("Refused and failed", rate(f"{requests}_count", refused, "job, status"), "{{job}} {{status}}", "reqps")
    yield Panel("95 % are answered within", quantile(requests, jobs, by="job, route"), "{{job}} {{route}}", "s")
    yield Panel("Being answered", f"sum by (job) (http_server_active_requests{{{jobs}}})", "{{job}}")
    yield Panel(
        "Calls to other services",
        rate("http_client_requests_total", jobs, "job, service, outcome"),
        "{{job}} → {{service}}: {{outcome}}",
        "reqps",
    )
    used = f'sum by (job, pool) (pool_connections{{{jobs},state="used"}}) / sum by (job, pool) (pool_limit{{{jobs}}})'
    yield Panel("Connections in use, of those there may be", used, "{{job}} {{pool}}", "percentunit")
    yield Panel("Waiting for a connection", f"sum by (job, pool) (pool_waiting{{{jobs}}})", "{{job}} {{pool}}")
    broker = f"min by (job, connection) (broker_connection_up{{{jobs}}})"
    yield Panel("Connected to RabbitMQ", broker, "{{job}} {{connection}}", "bool_yes_no")
    yield Panel("Outlived its own limit", rate("outlived_total", jobs, "job, kind"), "{{job}} {{kind}}", "ops")
    yield Panel("Not limited: Redis away", rate("rate_limit_unchecked_total", jobs, "job"), "{{job}}", "reqps")
    yield Panel("Memory", f"process_resident_memory_bytes{{{jobs}}}", "{{job}} {{instance}}", "bytes")
    yield Panel("Processors", f"rate(process_cpu_seconds_total{{{jobs}}}{RATE})", "{{job}} {{instance}}")


def of_chat(jobs: str) -> Iterator[Panel]:
    """Runs and the model (services/chat/instruments.py)."""
    yield Panel("Runs", rate("chat_run_duration_seconds_count", jobs, "outcome"), "{{outcome}}", "ops")
    yield Panel("95 % of runs end within", quantile("chat_run_duration_seconds", jobs), "all", "s")
    yield Panel("95 % have their first text within", quantile("chat_model_first_token_seconds", jobs), "all", "s")
    told = rate("chat_run_events_untold_total", jobs, "job")
    yield Panel("Events of runs that found no place", told, "{{job}}", "ops")


def of_tasks(jobs: str) -> Iterator[Panel]:
    """The queue, attempts and webhooks; of what every replica says the same, the most (services/tasks)."""
    queued = f"max by (priority, state) (tasks_queued{{{jobs}}})"
    yield Panel("Tasks that wait", queued, "{{priority}} {{state}}")
    yield Panel("The oldest that is due waits for", f"max(tasks_oldest_due_seconds{{{jobs}}})", "tasks", "s")
    yield Panel("The oldest message waits for", f"max(tasks_outbox_oldest_seconds{{{jobs}}})", "outbox", "s")
    yield Panel("Submitted", rate("tasks_submits_total", jobs, "kind, outcome"), "{{kind}} {{outcome}}", "ops")
    attempts = rate("tasks_attempt_duration_seconds_count", jobs, "kind, outcome")
    yield Panel("Attempts", attempts, "{{kind}} {{outcome}}", "ops")
    yield Panel(
        "95 % of attempts run for", quantile("tasks_attempt_duration_seconds", jobs, by="kind"), "{{kind}}", "s"
    )
    lag = quantile("tasks_start_lag_seconds", jobs, by="priority")
    yield Panel("95 % begin after", lag, "{{priority}}", "s")
    yield Panel("Running", f"sum by (kind) (tasks_running{{{jobs}}})", "{{kind}}")
    sent = rate("tasks_webhook_attempt_duration_seconds_count", jobs, "outcome")
    yield Panel("Deliveries to webhooks", sent, "{{outcome}}", "ops")
    waiting = f"max(tasks_webhook_deliveries_waiting{{{jobs}}})"
    yield Panel("Deliveries that wait", waiting, "deliveries")
    late = f"max(tasks_webhook_deliveries_late_seconds{{{jobs}}})"
    yield Panel("The oldest delivery is late by", late, "deliveries", "s")


JOBS: Final = {
    "auth": "auth",
    "agents": "agents",
    "chat": "chat",
    "vectors": "vectors|faiss",
    "tasks": "tasks|tasks-worker",
}
"""By service: its processes."""
SPECIAL: Final = {"chat": of_chat, "tasks": of_tasks}


def panels_of(name: str) -> Iterator[Panel]:
    """What is special first, since it is what one comes for."""
    jobs = f'job=~"{JOBS[name]}"'
    if name in SPECIAL:
        yield from SPECIAL[name](jobs)
    yield from common(jobs)
    if name != "auth":  # which keeps the log
        untold = rate("deeds_untold_total", jobs, "job")
        yield Panel("Done, and not in the audit log", untold, "{{job}}", "ops")


def dashboard(name: str) -> dict[str, Any]:
    """As Grafana imports it."""
    return {
        "uid": f"sutazai-{name}",
        "title": name,
        "tags": ["sutazai"],
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "schemaVersion": 39,
        "panels": [graph(place, panel) for place, panel in enumerate(panels_of(name))],
    }


def graph(place: int, panel: Panel) -> dict[str, Any]:
    """Panels stand in rows of three."""
    row, column = divmod(place, 24 // WIDTH)
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": PROMETHEUS,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "datasource": PROMETHEUS, "expr": panel.query, "legendFormat": panel.legend}],
    }


def written() -> dict[Path, str]:
    """The files, and what is in them."""
    return {PLACE / f"{name}.json": json.dumps(dashboard(name), indent=1) + "\n" for name in JOBS}


if __name__ == "__main__":
    for file, text in written().items():
        file.write_text(text)
