"""What the gateway answers itself, as problem+json: the table of the Kong file in Envoy's terms."""

from typing import Any

from gateway.envoy.messages import Json, set_header
from gateway.envoy.plugins import GatewayProblem

TRACE_NAMESPACE = "sutazai"
TRACE_KEY = "trace_id"
PATH = "%PATH(NQ:ORIG_OR_PATH)%"
TRACE_ID = (
    '%COALESCE({"operators": ['
    f'{{"command": "DYNAMIC_METADATA", "param": "{TRACE_NAMESPACE}:{TRACE_KEY}"}}, '
    '{"command": "REQ", "param": "x-request-id"}, '
    '{"command": "ENVIRONMENT", "param": "GATEWAY_NO_TRACE"}]})%'
)
_INSTANCE = (
    '%COALESCE({"operators": ['
    '{"command": "PATH", "param": "NQ:ORIG_OR_PATH"}, '
    '{"command": "ENVIRONMENT", "param": "GATEWAY_NO_PATH"}]})%'
)
_PROBLEM_JSON = "application/problem+json"
_RETRY_AFTER_SECONDS = 2
# Envoy says 503 of an upstream that hung up instead of answering; Kong says 502, which is what it is.
_HUNG_UP = ["UC", "UPE"]


def local_reply_config(problems: dict[int, GatewayProblem]) -> Json:
    """Envoy's LocalReplyConfig: one mapper a status, and the rows for 400 and 500 for every other."""
    hung_up = _mapper(_all_of(_status("EQ", 503), _flags(_HUNG_UP)), problems[502], 502)
    by_status = [_mapper(_status("EQ", status), problem) for status, problem in sorted(problems.items())]
    for mapper, (status, _) in zip(by_status, sorted(problems.items()), strict=True):
        if status == 503:
            mapper["headers_to_add"].append(set_header("Retry-After", str(_RETRY_AFTER_SECONDS)))
    rest = [_mapper(_status("GE", 500), problems[500]), _mapper(_status("GE", 400), problems[400])]
    return {"mappers": [hung_up, *by_status, *rest]}


def _mapper(condition: Json, problem: GatewayProblem, status: int | None = None) -> Json:
    mapper: Json = {
        "filter": condition,
        "body_format_override": {"content_type": _PROBLEM_JSON, "json_format": _body(problem, status)},
        "headers_to_add": [set_header("X-Trace-ID", TRACE_ID), set_header("X-Content-Type-Options", "nosniff")],
    }
    return mapper | ({"status_code": status} if status else {})


def _body(problem: GatewayProblem, status: int | None) -> dict[str, Any]:
    return {
        "type": f"/docs/errors#{problem.code}",
        "title": problem.title,
        "status": status or "%RESPONSE_CODE%",
        "detail": problem.detail.replace("{service}", "%UPSTREAM_CLUSTER%"),
        "code": problem.code,
        "instance": _INSTANCE,
        "trace_id": TRACE_ID,
    }


def _status(operator: str, status: int) -> Json:
    comparison = {"op": operator, "value": {"default_value": status, "runtime_key": "gateway.local_reply"}}
    return {"status_code_filter": {"comparison": comparison}}


def _flags(flags: list[str]) -> Json:
    return {"response_flag_filter": {"flags": flags}}


def _all_of(*conditions: Json) -> Json:
    return {"and_filter": {"filters": list(conditions)}}
