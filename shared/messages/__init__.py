"""RabbitMQ through aio-pika: connections that come back, quorum queues, confirmed publishing, patient consuming."""

from shared.messages.broadcast import declare_events, heard
from shared.messages.connection import Connection, open_connection
from shared.messages.consuming import Consumer, RetryLater
from shared.messages.probing import RABBITMQ_REMEDY, BrokerProbe, open_probe
from shared.messages.publishing import OutgoingMessage, Publisher, Unroutable
from shared.messages.relaying import Batch, OutboxRelay
from shared.messages.topology import EVENTS_EXCHANGE, declare_dead_letters, declare_queue
from shared.messages.waiting import OUTBOX_REMEDY, require_published

__all__ = [
    "EVENTS_EXCHANGE",
    "OUTBOX_REMEDY",
    "RABBITMQ_REMEDY",
    "Batch",
    "BrokerProbe",
    "Connection",
    "Consumer",
    "OutboxRelay",
    "OutgoingMessage",
    "Publisher",
    "RetryLater",
    "Unroutable",
    "declare_dead_letters",
    "declare_events",
    "declare_queue",
    "heard",
    "open_connection",
    "open_probe",
    "require_published",
]
