"""`make bench`: runs the rows, prints the table, keeps the figures in `bench/results/`."""

import argparse
import json
import platform
from datetime import UTC, datetime

import psutil

from bench.load import REPOSITORY
from bench.rows import Row, echo, hop, median, spread
from local.suite import Suite


def main() -> None:
    arguments = _parse()
    rows = []
    if "H1" in arguments.rows:
        rows.append(echo(arguments.rounds, arguments.seconds))
        _print_echo(rows[-1])
    if "K1" in arguments.rows:
        rows.append(_hop(arguments.rounds, arguments.seconds))
        _print_hop(rows[-1])
    _keep(rows)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=["H1", "K1"], default=["H1", "K1"])
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds of each row")
    parser.add_argument("--seconds", type=int, default=4, help="length of one run")
    return parser.parse_args()


def _hop(rounds: int, seconds: int) -> Row:
    suite = Suite()
    suite.up(["auth", "gateway"])
    names = ("services.auth", "gateway.envoy", "envoy")
    servers = [process for process in psutil.process_iter(["cmdline"]) if _is_one_of(process, names)]
    urls = [f"http://127.0.0.1:{suite.site.ports[name]}" for name in ("gateway", "auth")]
    return hop(rounds, seconds, urls[0], urls[1], servers)


def _is_one_of(process: psutil.Process, names: tuple[str, ...]) -> bool:
    command = " ".join(process.info["cmdline"] or [])
    return any(name in command for name in names)


def _print_contenders(row: Row) -> None:
    print(f"\n{row.id}  {row.work}")
    for name, loads in row.runs.items():
        print(
            f"  {name:8} {median(loads, lambda load: load.requests_per_second):9.0f} requests/s"
            f"   p50 {median(loads, lambda load: load.p50_us) / 1000:7.2f} ms"
            f"   p99 {median(loads, lambda load: load.p99_us) / 1000:7.2f} ms"
            f"   {median(loads, lambda load: load.cpu_us_per_request):6.0f} CPU-us/request"
            f"   client {median(loads, lambda load: load.client_cpu_share):4.0%} of a core"
        )


def _print_echo(row: Row) -> None:
    _print_contenders(row)
    print(f"  ours / bare FastAPI  {spread(row.ratios('ours', 'bare'))}")
    print(f"  ours / raw ASGI      {spread(row.ratios('ours', 'raw'))}")


def _print_hop(row: Row) -> None:
    _print_contenders(row)
    pairs = zip(row.runs["gateway"], row.runs["direct"], strict=True)
    print(
        f"  added p50, ms        {spread([(through.p50_us - straight.p50_us) / 1000 for through, straight in pairs])}"
    )


def _keep(rows: list[Row]) -> None:
    file = REPOSITORY / "bench" / "results" / f"{datetime.now(UTC):%Y-%m-%d}.json"
    machine = {"processors": psutil.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"machine": machine, "rows": [row.as_json() for row in rows]}, indent=1) + "\n")
    print(f"\nkept in {file.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
