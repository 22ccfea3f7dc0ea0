"""What is dead of tasks is a twentieth of what is kept, at most, and not a fifth.

With ten million that are kept a fifth is two million rows, for which each index has an entry too. Not less than a
twentieth either: each time all indexes are gone through.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLES = ("task", "task_attempt", "task_event", "webhook_delivery", "webhook_attempt")
_OWN = {"autovacuum_vacuum_scale_factor": 0.05, "autovacuum_analyze_scale_factor": 0.02}


def upgrade() -> None:
    settings = ", ".join(f"{name} = {value}" for name, value in _OWN.items())
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} SET ({settings})")


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} RESET ({', '.join(_OWN)})")
