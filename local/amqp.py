"""The opening of an AMQP 0-9-1 connection and nothing more: what a readiness probe needs, without an event loop."""

import io
import socket
import struct
from typing import Final, TypeVar

from pamqp import base, commands, frame, header

from local.errors import NotReady

HEADER_BYTES: Final = 7
MAX_FRAME_BYTES: Final = 131072

F = TypeVar("F", bound=base.Frame)
Stream = io.BufferedRWPair


def open_virtual_host(
    address: tuple[str, int], credentials: tuple[str, str], virtual_host: str, timeout_seconds: float
) -> None:
    """Raises NotReady when the broker refuses, OSError when it is not there or stays silent."""
    user, password = credentials
    with socket.create_connection(address, timeout=timeout_seconds) as connection, connection.makefile("rwb") as stream:
        stream.write(header.ProtocolHeader().marshal())
        _expect(stream, commands.Connection.Start)
        _send(stream, commands.Connection.StartOk({}, "PLAIN", f"\0{user}\0{password}", "en_US"))
        tune = _expect(stream, commands.Connection.Tune)
        _send(stream, commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0))
        _send(stream, commands.Connection.Open(virtual_host))
        _expect(stream, commands.Connection.OpenOk)
        _send(stream, commands.Connection.Close(200, "ready", 0, 0))
        _expect(stream, commands.Connection.CloseOk)


def _send(stream: Stream, method: base.Frame) -> None:
    stream.write(frame.marshal(method, 0))


def _expect(stream: Stream, answer: type[F]) -> F:
    stream.flush()
    head = stream.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        raise NotReady(f"the broker hung up before {answer.name}")
    (size,) = struct.unpack(">I", head[3:])
    if size > MAX_FRAME_BYTES:
        raise NotReady("what answers is not an AMQP broker")
    _, _, method = frame.unmarshal(head + stream.read(size + 1))
    if isinstance(method, commands.Connection.Close):
        raise NotReady(f"{method.reply_code} {method.reply_text}")
    if not isinstance(method, answer):
        raise NotReady(f"the broker answered {type(method).__name__} where {answer.name} was due")
    return method
