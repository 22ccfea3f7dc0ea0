"""What agents needs to know beyond what every service does."""

from pydantic import Field, SecretStr

from shared.outbound import AllowedText
from shared.settings import ClientSettings


class Settings(ClientSettings):
    """The password and the key have no default: without them the service does not start."""

    port: int = Field(default=10202, ge=1, le=65535, description="port to listen on")

    # Neo4j
    neo4j_url: str = Field(
        pattern=r"^(bolt|neo4j)(\+s|\+ssc)?://[^/\s]+$", description="`bolt://host:port`, or `neo4j://…` for a cluster"
    )
    neo4j_user: str = Field(default="neo4j", min_length=1, max_length=128, description="name to log in with")
    neo4j_password: SecretStr = Field(min_length=8, description="its password")
    neo4j_database: str = Field(
        default="neo4j", pattern=r"^[a-z][a-z0-9.-]{2,62}$", description="the database, named with every transaction"
    )
    neo4j_pool_size: int = Field(default=32, ge=1, le=500, description="connections at most")
    neo4j_pool_wait_seconds: float = Field(
        default=3.0, gt=0, le=30, description="for a connection, opening one included; after that 503"
    )
    neo4j_connect_seconds: float = Field(default=2.0, gt=0, le=30, description="for a TCP connection to be accepted")
    neo4j_transaction_seconds: float = Field(
        default=7.0, gt=0, le=60, description="after which the server ends a transaction"
    )
    neo4j_retry_seconds: float = Field(
        default=0.5, ge=0, le=30, description="how long failed transactions that may be tried again are"
    )
    neo4j_wait_seconds: float = Field(
        default=8.0, gt=0, le=120, description="for one unit of work with its retries, whatever the server does"
    )
    neo4j_schema_seconds: float = Field(
        default=30.0, gt=0, le=600, description="for the constraints and indexes to be made at the first start"
    )

    # Tools
    secret_encryption_key: SecretStr = Field(
        description="32 bytes in URL-safe base64: seals the credentials of tools in the graph. Several by "
        "comma: the first seals, each opens"
    )
    outbound_allow: AllowedText = Field(
        default="",
        max_length=4096,
        description="networks, addresses and host names, by comma, that tools may ask though they are not public",
    )
