"""`python seed.py COUNT PASSWORD`: as many users in a fresh database of the peer; prints a token for each as JSON."""

import asyncio
import json
import sys
import uuid

from fastapi_users_app import Base, User, async_session_maker, engine, get_jwt_strategy, password_helper


async def seed(count: int, password: str) -> list[str]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    hashed = password_helper.hash(password)  # one for all: checking it costs the same every time
    users = [
        User(id=uuid.uuid4(), email=f"user-{number}@example.com", hashed_password=hashed, is_verified=True)
        for number in range(count)
    ]
    async with async_session_maker() as session:
        session.add_all(users)
        await session.commit()
    tokens = [await get_jwt_strategy().write_token(user) for user in users]
    await engine.dispose()
    return tokens


if __name__ == "__main__":
    print(json.dumps(asyncio.run(seed(int(sys.argv[1]), sys.argv[2]))))
