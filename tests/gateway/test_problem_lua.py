"""The Lua that makes Kong's own errors problem+json, run by a real LuaJIT: the one inside Envoy.

What Kong offers to such a function is stood in for by a few lines; they follow Kong's documented plugin interface.
"""

from collections.abc import Iterator

import httpx
import pytest

from gateway.envoy.kong import load, parsed
from gateway.envoy.messages import extension
from gateway.envoy.plugins import PreFunction
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.gateway.running import KONG_FILE, envoy

REQUEST_ID = "11111111-2222-3333-4444-555555555555"
KONG = r"""
local function filters(kong)
  local header_filter = function() %s end
  local body_filter = function() %s end
  header_filter()
  body_filter()
end

function envoy_on_request(handle)
  local function asked(name) return handle:headers():get(name) end
  local status, body = tonumber(asked("x-status")), asked("x-body") or "kong's own"
  local headers = {["content-type"] = "application/json", ["content-length"] = "999"}
  kong = {
    request = {
      get_header = asked,
      get_raw_path = function() return asked("x-path") or error("no path") end,
      get_id = function() return asked("x-own-id") or error("no id") end,
    },
    router = {get_service = function() return asked("x-service") and {name = asked("x-service")} end},
    response = {
      get_status = function() return status end,
      set_status = function(changed) status = changed end,
      get_source = function() return asked("x-source") end,
      get_header = function(name) return headers[name:lower()] end,
      set_header = function(name, value) headers[name:lower()] = value end,
      clear_header = function(name) headers[name:lower()] = nil end,
      get_raw_body = function() return body end,
      set_raw_body = function(changed) body = changed end,
    },
  }
  filters(kong)
  headers[":status"] = tostring(status)
  headers["x-length-kept"] = tostring(headers["content-length"] ~= nil)
  headers["content-length"] = nil
  handle:respond(headers, body)
end
"""


@pytest.fixture(scope="module")
def kong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Answers what Kong would, were it about to answer `x-status` for `x-source` itself."""
    plugins = parsed(KONG_FILE.read_text())["plugins"]
    config = next(plugin["config"] for plugin in plugins if plugin["name"] == "pre-function")
    code = KONG % (config["header_filter"][0], config["body_filter"][0])
    lua = extension(
        "envoy.filters.http.lua",
        "extensions.filters.http.lua.v3.Lua",
        default_source_code={"inline_string": code},
    )
    port = free_port()
    with (
        envoy(tmp_path_factory.mktemp("lua"), port, lua),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS, verify=authorities()) as client,
    ):
        yield client


def answer(kong: httpx.Client, status: int, **headers: str) -> httpx.Response:
    named = {f"x-{name}": value for name, value in {"source": "exit", "path": "/a", **headers}.items()}
    return kong.get("/", headers={"x-status": str(status), "x-request-id": REQUEST_ID, **named})


def test_every_row_of_the_table_is_answered(kong: httpx.Client) -> None:
    problems = load(KONG_FILE).plugin(PreFunction)
    assert problems is not None

    for status, problem in problems.config.problems().items():
        said = answer(kong, status, service="agents")

        assert said.status_code == status
        assert said.headers["content-type"] == "application/problem+json"
        assert said.json() == {
            "type": f"/docs/errors#{problem.code}",
            "title": problem.title,
            "status": status,
            "detail": problem.detail.replace("{service}", "agents"),
            "code": problem.code,
            "instance": "/a",
            "trace_id": REQUEST_ID.replace("-", ""),
        }


def test_answer_of_a_service_is_left_alone(kong: httpx.Client) -> None:
    said = answer(kong, 503, source="service", body="the service's own")

    assert (said.text, said.headers["content-type"]) == ("the service's own", "application/json")
    assert said.headers["x-length-kept"] == "true"


def test_preflight_is_left_alone(kong: httpx.Client) -> None:
    assert answer(kong, 200, body="ok").text == "ok"


def test_length_of_the_old_body_is_withdrawn(kong: httpx.Client) -> None:
    assert answer(kong, 404).headers["x-length-kept"] == "false"


def test_refused_expectation_is_a_body_too_large(kong: httpx.Client) -> None:
    said = answer(kong, 417)

    assert (said.status_code, said.json()["code"]) == (413, "common.too_large")


def test_unavailable_says_when_to_return(kong: httpx.Client) -> None:
    assert answer(kong, 503, source="error").headers["retry-after"] == "2"


@pytest.mark.parametrize(("status", "code"), [(411, "common.bad_request"), (599, "common.internal")])
def test_status_without_a_row_takes_its_family(kong: httpx.Client, status: int, code: str) -> None:
    assert (answer(kong, status).json()["status"], answer(kong, status).json()["code"]) == (status, code)


def test_trace_of_the_caller_names_the_problem(kong: httpx.Client) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    said = kong.get(
        "/", headers={"x-status": "404", "x-source": "exit", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    )

    assert (said.json()["trace_id"], said.headers["x-trace-id"]) == (trace, trace)
    assert said.json()["instance"] == "/"


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("traceparent", [f"00-{TRACE.upper()}-00f067aa0ba902b7-01", f"00-{TRACE}0-00f067aa0ba902b7-01"])
def test_a_trace_that_is_none_is_not_believed(kong: httpx.Client, traceparent: str) -> None:
    said = kong.get(
        "/",
        headers={"x-status": "404", "x-source": "exit", "x-request-id": REQUEST_ID, "traceparent": traceparent},
    )

    assert said.json()["trace_id"] == REQUEST_ID.replace("-", "")


def test_a_request_that_got_no_id_is_named_by_that_of_kongs_log(kong: httpx.Client) -> None:
    """As one that cannot be read: correlation-id is not asked then."""
    ids = [
        kong.get("/", headers={"x-status": "400", "x-source": "error", **own}).json()["trace_id"]
        for own in ({"x-own-id": "5" * 32}, {"x-own-id": "5" * 32, "x-request-id": ""}, {})
    ]

    assert ids == ["5" * 32, "5" * 32, "0" * 32]


def test_a_method_that_nginx_refuses_is_told_which_there_are(kong: httpx.Client) -> None:
    said = answer(kong, 405, source="error")

    assert (said.json()["title"], said.json()["code"]) == ("Method Not Allowed", "common.method_not_allowed")
    assert said.headers["allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert "allow" not in answer(kong, 404).headers


def test_instance_is_a_reference_as_it_was_sent(kong: httpx.Client) -> None:
    paths = [answer(kong, 404, path=path).json()["instance"] for path in ("/no%22where%0a", "/a%2Fb", "")]

    assert paths == ["/no%22where%0a", "/a%2Fb", "/"]


def test_path_cannot_break_the_document(kong: httpx.Client) -> None:
    assert answer(kong, 404, path='/a"\\b').json()["instance"] == '/a"\\b'


PROOF = r"""
function envoy_on_request(handle)
  local sent = handle:headers():get("x-gateway-token")
  kong = {
    vault = {get = function(reference)
      assert(reference == "{vault://env/gateway-token}")
      return handle:headers():get("x-kept")
    end},
    service = {request = {
      set_header = function(name, value) assert(name == "X-Gateway-Token") sent = value end,
      clear_header = function(name) assert(name == "X-Gateway-Token") sent = nil end,
    }},
  }
  local function access() %s end
  access()
  handle:respond({[":status"] = "200"}, sent or "nothing")
end
"""


@pytest.mark.parametrize(("kept", "sent"), [({"x-kept": "the token"}, "the token"), ({}, "nothing")])
def test_kong_says_its_token_and_nobody_elses(
    tmp_path_factory: pytest.TempPathFactory, kept: dict[str, str], sent: str
) -> None:
    plugins = parsed(KONG_FILE.read_text())["plugins"]
    [code] = [plugin["config"]["access"][0] for plugin in plugins if plugin["name"] == "pre-function"]
    lua = extension(
        "envoy.filters.http.lua",
        "extensions.filters.http.lua.v3.Lua",
        default_source_code={"inline_string": PROOF % code},
    )
    port = free_port()
    with envoy(tmp_path_factory.mktemp("proof"), port, lua):
        answer = httpx.get(
            f"http://127.0.0.1:{port}/",
            headers={"X-Gateway-Token": "guessed"} | kept,
            timeout=PATIENCE_SECONDS,
            verify=authorities(),
        )

    assert answer.text == sent
