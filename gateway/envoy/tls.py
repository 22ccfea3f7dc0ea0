"""TLS to the services: Envoy sends nothing before it has seen the certificate of the very service, as Kong does."""

import json
import os
from pathlib import Path
from typing import Final

from gateway.envoy.kong import Service
from gateway.envoy.messages import Json, extension, typed

_NAME: Final = "authority"


def upstream_tls(service: Service, state_dir: Path) -> Json:
    """What has a cluster want the certificate of `service`, by the authority that `write_authority` named."""
    secret = {"path_config_source": {"path": str(_path(state_dir))}, "resource_api_version": "V3"}
    name = {"san_type": "DNS", "matcher": {"exact": service.host}}
    context = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": [name]},
            "validation_context_sds_secret_config": {"name": _NAME, "sds_config": secret},
        },
    }
    message = "extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    socket = extension("envoy.transport_sockets.tls", message, sni=service.host, common_tls_context=context)
    return {"transport_socket": socket}


def write_authority(state_dir: Path, authority: Path) -> None:
    """Name the file of authorities to Envoy, which reads it again when it is replaced. Raises OSError."""
    context = {"trusted_ca": {"filename": str(authority.absolute())}}
    secret = typed("extensions.transport_sockets.tls.v3.Secret", name=_NAME, validation_context=context)
    state_dir.mkdir(parents=True, exist_ok=True)
    part = _path(state_dir).with_suffix(".part")
    part.write_text(json.dumps({"resources": [secret]}))
    os.replace(part, _path(state_dir))  # noqa: PTH105 - the function's name says that it is atomic


def _path(state_dir: Path) -> Path:
    return state_dir.absolute() / "authority.json"
