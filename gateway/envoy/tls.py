"""TLS to whom Envoy asks: it sends nothing before it has seen the certificate of the very service, as Kong does."""

import json
import os
from pathlib import Path
from typing import Final

from gateway.envoy.kong import Service
from gateway.envoy.messages import Json, extension, typed
from shared.hosts import is_address

_NAME: Final = "authority"
_CONTEXT: Final = "extensions.transport_sockets.tls.v3.UpstreamTlsContext"


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
    return _socket(context, sni=service.host)


def public_tls(host: str, authorities: Path) -> Json:
    """What has a cluster want the certificate of `host`, a name or an address, by the authorities of a file."""
    by_address = is_address(host)
    name = {"san_type": "IP_ADDRESS" if by_address else "DNS", "matcher": {"exact": host}}
    wanted = {"trusted_ca": {"filename": str(authorities.absolute())}, "match_typed_subject_alt_names": [name]}
    return _socket({"validation_context": wanted}, **({} if by_address else {"sni": host}))


def write_authority(state_dir: Path, authority: Path) -> None:
    """Name the file of authorities to Envoy, which reads it again when it is replaced. Raises OSError."""
    context = {"trusted_ca": {"filename": str(authority.absolute())}}
    secret = typed("extensions.transport_sockets.tls.v3.Secret", name=_NAME, validation_context=context)
    state_dir.mkdir(parents=True, exist_ok=True)
    part = _path(state_dir).with_suffix(".part")
    part.write_text(json.dumps({"resources": [secret]}))
    os.replace(part, _path(state_dir))  # noqa: PTH105 - the function's name says that it is atomic


def _socket(context: Json, **names: str) -> Json:
    return {"transport_socket": extension("envoy.transport_sockets.tls", _CONTEXT, common_tls_context=context, **names)}


def _path(state_dir: Path) -> Path:
    return state_dir.absolute() / "authority.json"
