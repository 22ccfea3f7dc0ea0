"""As much of AMQP 0-9-1 as it takes to ask a broker whether it works, without an event loop."""

import io
import secrets
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from pamqp import base, body, commands, common, frame, header

from local.errors import NotReady

HEADER_BYTES: Final = 7
MAX_FRAME_BYTES: Final = 131072
QUEUE_MILLISECONDS: Final = 60_000

F = TypeVar("F", bound=base.Frame)
Stream = io.BufferedRWPair


def open_virtual_host(
    address: tuple[str, int], credentials: tuple[str, str], virtual_host: str, timeout_seconds: float
) -> None:
    """Raises NotReady when the broker refuses, OSError when it is not there or stays silent."""
    with _opened(address, credentials, virtual_host, timeout_seconds):
        pass


def pass_through_quorum_queue(
    address: tuple[str, int], credentials: tuple[str, str], virtual_host: str, timeout_seconds: float
) -> None:
    """Declares a quorum queue, publishes to it with a confirm, takes the message from it, and deletes the queue.

    Each answer is waited for `timeout_seconds`. Raises NotReady when the broker refuses or loses the message, OSError
    when it stays silent, as it does to publishers while an alarm is raised.
    """
    queue, text = f"sutazai.check.{secrets.token_hex(4)}", secrets.token_bytes(16)
    kept: common.FieldTable = {
        "x-queue-type": "quorum",
        "x-expires": QUEUE_MILLISECONDS,
    }  # one that is left behind goes by itself
    with _opened(address, credentials, virtual_host, timeout_seconds) as stream:
        _send(stream, commands.Channel.Open(), 1)
        _expect(stream, commands.Channel.OpenOk)
        _send(stream, commands.Confirm.Select(), 1)
        _expect(stream, commands.Confirm.SelectOk)
        _send(stream, commands.Queue.Declare(queue=queue, durable=True, arguments=kept), 1)
        _expect(stream, commands.Queue.DeclareOk)
        _publish(stream, queue, text)
        _expect(stream, commands.Basic.Ack)
        if _taken(stream, queue) != text:
            raise NotReady("a message came back from a quorum queue as another")
        _send(stream, commands.Queue.Delete(queue=queue), 1)
        _expect(stream, commands.Queue.DeleteOk)


@contextmanager
def _opened(
    address: tuple[str, int], credentials: tuple[str, str], virtual_host: str, timeout_seconds: float
) -> Iterator[Stream]:
    user, password = credentials
    with socket.create_connection(address, timeout=timeout_seconds) as connection, connection.makefile("rwb") as stream:
        stream.write(header.ProtocolHeader().marshal())
        _expect(stream, commands.Connection.Start)
        _send(stream, commands.Connection.StartOk({}, "PLAIN", f"\0{user}\0{password}", "en_US"))
        tune = _expect(stream, commands.Connection.Tune)
        _send(stream, commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0))
        _send(stream, commands.Connection.Open(virtual_host))
        _expect(stream, commands.Connection.OpenOk)
        yield stream
        _send(stream, commands.Connection.Close(200, "ready", 0, 0))
        _expect(stream, commands.Connection.CloseOk)


def _publish(stream: Stream, queue: str, text: bytes) -> None:
    persistent = commands.Basic.Properties(delivery_mode=2)
    _send(stream, commands.Basic.Publish(exchange="", routing_key=queue, mandatory=True), 1)
    stream.write(frame.marshal(header.ContentHeader(body_size=len(text), properties=persistent), 1))
    stream.write(frame.marshal(body.ContentBody(text), 1))


def _taken(stream: Stream, queue: str) -> bytes:
    _send(stream, commands.Basic.Get(queue=queue, no_ack=True), 1)
    _expect(stream, commands.Basic.GetOk)
    _read(stream)  # the header of the content
    content = _read(stream)
    return content.value or b"" if isinstance(content, body.ContentBody) else b""


def _send(stream: Stream, method: base.Frame, channel: int = 0) -> None:
    stream.write(frame.marshal(method, channel))


def _expect(stream: Stream, answer: type[F]) -> F:
    method = _read(stream, answer.name)
    if isinstance(method, commands.Connection.Close | commands.Channel.Close):
        raise NotReady(f"{method.reply_code} {method.reply_text}")
    if not isinstance(method, answer):
        raise NotReady(f"the broker answered {type(method).__name__} where {answer.name} was due")
    return method


def _read(stream: Stream, awaited: str = "the content") -> object:
    stream.flush()
    head = stream.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        raise NotReady(f"the broker hung up before {awaited}")
    (size,) = struct.unpack(">I", head[3:])
    if size > MAX_FRAME_BYTES:
        raise NotReady("what answers is not an AMQP broker")
    _, _, part = frame.unmarshal(head + stream.read(size + 1))
    return part
