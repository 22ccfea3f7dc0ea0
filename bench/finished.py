"""Tasks that ended over the last months, as many as are wanted, written into PostgreSQL without a service.

Half of them are one tenant's, half of those one person's; the others belong to two hundred tenants. Each has the
attempt and the three events that a worker would have left, and the ids that it would have been given. Nine of ten
succeeded; of the errors, priorities and parents some are so rare that a list has to find a few among all.
"""

from dataclasses import dataclass

import asyncpg

DAYS = 80
"""Since the first of them was submitted; less than tasks are kept."""
FEW, MANY = 10_000, 1_000_000
SAMPLE = 1_000
RARE_ERROR = "upstream.timeout"
PARENT = "00000000-0000-7000-8000-000000000000"
_CHUNK = 100_000
_SECONDS = 3600

_DRAWN = """
CREATE TEMPORARY TABLE drawn AS
SELECT n, moment,
    (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3)
        || '8' || substr(md5(n::text), 4, 15))::uuid AS id,
    CASE WHEN whose < 0.5 THEN $4 ELSE md5('tenant' || n % 200)::uuid::text END AS tenant_id,
    CASE WHEN whose < 0.25 THEN $5 ELSE md5('user' || n % 1000)::uuid::text END AS user_id,
    CASE WHEN what < 0.7 THEN 'echo' WHEN what < 0.95 THEN 'vectors.ingest' ELSE 'agent.run' END AS kind,
    CASE WHEN how < 0.9 THEN 'succeeded' WHEN how < 0.98 THEN 'failed' WHEN how < 0.99999 THEN 'cancelled'
        ELSE 'expired' END AS status,
    CASE WHEN rank < 0.9 THEN 'normal' WHEN rank < 0.9999 THEN 'low' ELSE 'high' END AS priority,
    rare
FROM (
    SELECT n, now() - make_interval(days => $6) + (n::float8 / $3) * make_interval(days => $6 - 1) AS moment,
        random() AS whose, random() AS what, random() AS how, random() AS rank, random() AS rare
    FROM generate_series($1::bigint, $2::bigint) AS n
) AS chance
"""
_TASKS = """
INSERT INTO task (
    id, tenant_id, user_id, scopes, kind, priority, input, status, result, error_code, error_detail, dead_letter,
    progress_done, attempt, interruptions, max_attempts, timeout_seconds, run_at, enqueued_at, version, created_at,
    started_at, finished_at, waiting_for, dependency_failed, waits_for_key, parent_id, event_number, log_lines,
    log_dropped, discarded_at
)
SELECT id, tenant_id, user_id, ARRAY['tasks:write', 'tasks:read'], kind, priority,
    '{"text":"' || repeat(md5(n::text), 5) || '"}', status,
    CASE status WHEN 'succeeded' THEN '{"text":"' || md5(n::text) || '"}' END,
    CASE status WHEN 'failed' THEN CASE WHEN rare < 0.001 THEN $1 ELSE 'common.unavailable' END END,
    CASE status WHEN 'failed' THEN 'what it needs was away' END, status = 'failed' AND rare < 0.5,
    0, 1, 0, 3, 300, moment, moment, 4, moment, moment + interval '1 second', moment + interval '3 seconds',
    0, false, false, CASE WHEN rare > 0.9999 THEN $2::uuid END, 3, 0, 0,
    CASE WHEN status = 'failed' AND rare < 0.99 THEN moment + interval '1 day' END
FROM drawn
"""
_ATTEMPTS = """
INSERT INTO task_attempt (task_id, number, worker_id, started_at, finished_at)
SELECT id, 1, 'host-1-abcdef', moment + interval '1 second', moment + interval '3 seconds' FROM drawn
"""
_EVENTS = """
INSERT INTO task_event (task_id, number, tenant_id, user_id, type, at, body)
SELECT id, number, tenant_id, user_id, 'task.' || (ARRAY['queued', 'running', status])[number],
    moment + make_interval(secs => number),
    jsonb_build_object('status', status, 'attempt', 1, 'progress', jsonb_build_object('done', 0, 'total', NULL,
        'message', NULL), 'error', NULL, 'dead_letter', false)
FROM drawn, generate_series(1, 3) AS number
"""
_INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid IN ('task'::regclass, 'task_event'::regclass) AND NOT indisunique
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose half of the tasks are."""

    tenant_id: str
    user_id: str


async def fill(connection: asyncpg.Connection, count: int, owner: Owner) -> None:
    """Write `count` of them. Their indexes are built at the end: row by row takes many times as long.

    The role of the connection is a superuser: for it the triggers of the tables are at rest.
    """
    indexes = await connection.fetch(_INDEXES)
    await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    await connection.execute("SET maintenance_work_mem = '512MB'")
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    for first in range(0, count, _CHUNK):
        last = min(first + _CHUNK, count) - 1
        await connection.execute(_DRAWN, first, last, count, owner.tenant_id, owner.user_id, DAYS, timeout=_SECONDS)
        await connection.execute(_TASKS, RARE_ERROR, PARENT, timeout=_SECONDS)
        for statement in (_ATTEMPTS, _EVENTS, "DROP TABLE drawn"):
            await connection.execute(statement, timeout=_SECONDS)
    for index in indexes:
        await connection.execute(index["definition"], timeout=_SECONDS)
    await connection.execute("RESET session_replication_role; RESET synchronous_commit")
    for table in ("task", "task_event", "task_attempt"):
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=_SECONDS)


async def sample(connection: asyncpg.Connection, count: int, owner: Owner) -> list[str]:
    """Ids of some of the owner's tasks, from everywhere among the `count`."""
    percent = min(100.0, 100.0 * 20 * SAMPLE / count)
    statement = """
        SELECT id::text FROM task TABLESAMPLE SYSTEM ($4) WHERE tenant_id = $1 AND user_id = $2
        ORDER BY md5(id::text) LIMIT $3
    """
    rows = await connection.fetch(statement, owner.tenant_id, owner.user_id, SAMPLE, percent)
    return [row["id"] for row in rows]
