"""Every statement there is names the tenant, and units of work are run again where the store says so."""

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from neo4j import AsyncManagedTransaction
from neo4j.exceptions import Neo4jError

import services.agents
from services.agents.graph import Graph
from shared.errors import Unavailable
from shared.schemas import new_id

# A node of something that belongs to a tenant: `(a:Agent)`, `(:Agent|AgentVersion {…})`.
# A label that is put in, `(n:{kind.label} {…})`, is one of these.
OWNED = re.compile(
    r"\((?P<name>\w*)\s*:\s*"
    r"(?:(?:Agent|AgentVersion|Capability|Collection|Tool|ToolDefinition|ToolSecret|ToolShelf)\b|…)(?P<within>[^)]*)\)"
)
# A node of a pattern that has no label, where a relation begins or ends: `-[r:HAS]->(a)`, `(a)<--`.
BARE = re.compile(
    r"(?<=[->])\s*\(\s*(?P<end>\w*)\s*(?:\{[^)]*)?\)|\(\s*(?P<start>\w*)\s*(?:\{[^)]*)?\)(?=\s*(?:-[-\[]|<-))"
)
COUNTED = re.compile(r"COUNT \{[^}]*\}")  # of the relations of a node that is bound; nobody at their other ends is read
FOR_ALL = {
    "constraints.py": "the schema, over all tenants; it reads nobody's things",
    "secrets/resealing.py": "what seals secrets, over all tenants; it shows nobody's things to anybody",
    "upkeep.py": "work on links, over all tenants; it shows nobody's things to anybody",
}


def statements() -> Iterator[tuple[str, str]]:
    """Every text with a node of a tenant's in it, wherever it stands in a file of agents, by its place.

    What a text is put together of elsewhere is a text there.
    """
    folder = Path(services.agents.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        if file.relative_to(folder).as_posix() in FOR_ALL:
            continue
        for node, text in texts(ast.parse(file.read_text())):
            if OWNED.search(text):
                yield f"{file.relative_to(folder)}:{node.lineno}", text


def texts(module: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    inside = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    documents = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            yield node, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside | documents:
            yield node, node.value


STATEMENTS = dict(statements())


def test_every_statement_about_a_tenants_things_names_the_tenant() -> None:
    assert {place for place, text in STATEMENTS.items() if "$tenant_id" not in text} == set()
    assert len(STATEMENTS) > 20


def test_every_node_that_a_statement_looks_for_is_of_the_tenant() -> None:
    """Not only the first: each has the tenant in its pattern, or a condition that names it for its variable."""
    loose = [
        (place, found[0])
        for place, text in STATEMENTS.items()
        for found in OWNED.finditer(text)
        if "tenant_id: $tenant_id" not in found["within"] and not has_condition(found["name"], text)
    ]

    assert loose == []


def has_condition(name: str, text: str) -> bool:
    return bool(name) and re.search(rf"\b{name}\.tenant_id = \$tenant_id", text) is not None


def test_every_node_of_a_pattern_has_a_label_or_is_bound() -> None:
    """A node that has neither would be anybody's."""
    nameless = [
        (place, found[0])
        for place, text in STATEMENTS.items()
        for found in BARE.finditer(COUNTED.sub("", text))
        if not re.search(rf"\b{found['end'] or found['start'] or '-'}\b", BARE.sub("", text))
    ]

    assert nameless == []


async def test_who_loses_a_deadlock_is_run_again(patient_graph: Graph) -> None:
    """Two units of work lock two agents in opposite orders, each after the other has its first: one must lose."""
    ids, tenant_id = [new_id(), new_id()], new_id()
    holds = [asyncio.Event(), asyncio.Event()]
    runs = [0, 0]

    async def make(transaction: AsyncManagedTransaction) -> None:
        await _run(transaction, "UNWIND $ids AS id CREATE (:Agent {id: id, tenant_id: $tenant_id, name_key: id})")

    async def lock(transaction: AsyncManagedTransaction, id: str) -> None:
        await _run(transaction, "MATCH (a:Agent {id: $id, tenant_id: $tenant_id}) SET a.locked_by = $id", id=id)

    async def _run(transaction: AsyncManagedTransaction, statement: Any, **given: Any) -> None:
        await (await transaction.run(statement, ids=ids, tenant_id=tenant_id, **given)).consume()

    def crossing(this: int) -> Any:
        async def work(transaction: AsyncManagedTransaction) -> int:
            runs[this] += 1
            await lock(transaction, ids[this])
            holds[this].set()
            await holds[1 - this].wait()
            await lock(transaction, ids[1 - this])
            return this

        return work

    await patient_graph.write(make)
    done = await asyncio.gather(*(patient_graph.write(crossing(this)) for this in (0, 1)))

    assert done == [0, 1]
    assert sum(runs) > 2


RETRIED = [
    "Neo.TransientError.Transaction.DeadlockDetected",
    "Neo.ClientError.Cluster.NotALeader",
    "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase",
    "Neo.TransientError.General.DatabaseUnavailable",
]


def as_the_server_says(code: str) -> Neo4jError:
    return Neo4jError._hydrate_neo4j(code=code, message="said by a test")


@pytest.mark.parametrize("code", RETRIED)
async def test_a_change_of_leader_is_outlived(patient_graph: Graph, code: str) -> None:
    """One server has no leader to lose: what a cluster would say is said for it."""
    runs = 0

    async def work(transaction: AsyncManagedTransaction) -> int:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise as_the_server_says(code)
        return int((await (await transaction.run("RETURN 7")).single(strict=True))[0])

    assert await patient_graph.write(work) == 7
    assert runs == 3


async def test_what_never_passes_is_given_up(graph: Graph) -> None:
    async def work(_: AsyncManagedTransaction) -> None:
        raise as_the_server_says(RETRIED[0])

    with pytest.raises(Unavailable):
        await graph.write(work)
