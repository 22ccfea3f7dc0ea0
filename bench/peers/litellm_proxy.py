"""LiteLLM's proxy in front of a model server: `litellm_proxy.py UPSTREAM PORT`, as its documentation sets it up."""

import json
import sys
import tempfile
from pathlib import Path

from litellm.proxy.proxy_cli import run_server

upstream, port = sys.argv[1:]
model = {"model": "openai/mock", "api_base": f"{upstream}/v1", "api_key": "none"}
config = {"model_list": [{"model_name": "mock", "litellm_params": model}], "litellm_settings": {"telemetry": False}}
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "config.yaml"
    file.write_text(json.dumps(config))  # which is YAML too
    run_server(["--config", str(file), "--host", "127.0.0.1", "--port", port], standalone_mode=False)
