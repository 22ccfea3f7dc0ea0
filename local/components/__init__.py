"""Every component of the suite, in the order in which they are shown."""

from typing import Final

from local.components.base import Component
from local.components.chromadb import ChromaDB
from local.components.consul import Consul
from local.components.llm import LanguageModel
from local.components.neo4j import Neo4j
from local.components.postgres import Postgres
from local.components.rabbitmq import Epmd, RabbitMQ
from local.components.redis import Redis, RedisCache
from local.components.services import PROCESSES, Gateway
from local.components.traces import Traces

ALL: Final[dict[str, Component]] = {
    component.name: component
    for component in (
        Neo4j(),
        Epmd(),
        RabbitMQ(),
        Postgres(),
        Redis(),
        RedisCache(),
        Consul(),
        ChromaDB(),
        LanguageModel(),
        Traces(),
        *PROCESSES,
        Gateway(),
    )
}
