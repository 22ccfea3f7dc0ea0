"""What somebody with the rights of the owner of the table can do to the audit log."""

from sqlalchemy import text

from shared.postgres import Database


async def tamper(database: Database, *statements: str) -> None:
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_append_only"))
        for statement in statements:
            await session.execute(text(statement))
        await session.execute(text("ALTER TABLE audit_entry ENABLE TRIGGER audit_entry_append_only"))
