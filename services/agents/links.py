"""What agents name, as nodes that the agents of a tenant share: from a name lead links to whoever has it.

    (:Agent)-[:HAS_CAPABILITY]->(:Capability)
    (:Agent)-[:KNOWS]->(:Collection)
    (:Agent)-[:USES]->(:Tool)
    a node {tenant_id, name}, a link {tenant_id, name, created_at, agent_id}

Links are of the current version and are written with it. Each repeats its name and its agent's place in lists, so that
an index of links gives the agents of a name newest first, however many they are.

Writers lock in one order, so that they wait for each other instead of deadlocking: agents by their ids, then names by
their kind, in the order of `KINDS`, and within a kind sorted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of names."""

    field: LiteralString
    """Of an agent's content: the names of this kind. The parameter of statements is called so, too."""
    label: LiteralString
    link: LiteralString


KINDS: Final = (
    Kind("capabilities", "Capability", "HAS_CAPABILITY"),
    Kind("knowledge", "Collection", "KNOWS"),
    Kind("tools", "Tool", "USES"),
)


_DROPPED: Final[LiteralString] = """
    CALL (a) {
        MATCH (a)-[old:HAS_CAPABILITY|KNOWS|USES]->(n:Capability|Collection|Tool {tenant_id: $tenant_id})
        WHERE NOT [type(old), n.name] IN $kept
        DELETE old
    }
"""


def _linked(kind: Kind) -> LiteralString:
    return f"""
    CALL (a) {{
        UNWIND ${kind.field} AS name
        MERGE (n:{kind.label} {{tenant_id: $tenant_id, name: name}})
        MERGE (a)-[r:{kind.link}]->(n)
        SET r.tenant_id = $tenant_id, r.name = name, r.created_at = a.created_at, r.agent_id = a.id
    }}
    """


_LINKED: Final[Mapping[str, LiteralString]] = {kind.field: _linked(kind) for kind in KINDS}


def linked(content: Mapping[str, Any], *, is_new: bool) -> tuple[LiteralString, dict[str, Any]]:
    """The end of a statement that has an agent `a`, and its parameters: it is linked to what it names and to no more.

    No longer than it has to be: the first of its form has to be planned, which takes a busy server seconds.
    """
    named = {kind.field: sorted(content[kind.field]) for kind in KINDS if content[kind.field]}
    kept = [[kind.link, name] for kind in KINDS for name in content[kind.field]]
    statement = ("" if is_new else _DROPPED) + "".join(_LINKED[field] for field in named)
    return statement, named | {"kept": kept}
