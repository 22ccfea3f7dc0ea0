"""What a confined program has, and how each of its ends is told."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from services.tasks.confined.ends import End, Refused
from services.tasks.confined.limits import Limits
from services.tasks.confined.room import Program, Room, running
from services.tasks.errors import PermanentFailure
from shared.errors import StorageFull, Unavailable
from tests.unit.tasks.confined_probe import Unwanted

PROBE = "tests.unit.tasks.confined_probe"


def reason(of: str) -> Refused:
    found = Unwanted(f"by its {of}")
    found.code = f"test.{of}"  # type: ignore[misc] # of this one alone
    return found


ENDS = {end: reason(end) for end in (End.MEMORY, End.TIME, End.SIZE, End.CRASH)}


def room(**limits: int) -> Room:
    return Room(PROBE, Limits(**{"memory_bytes": 2**28, "processor_seconds": 60} | limits), ENDS)


async def asked(program: Program, do: str, **fields: Any) -> Any:
    await program.send(orjson.dumps({"do": do, **fields}))
    return await program.receive_json()


async def end_of(do: str, limits: dict[str, int] | None = None, **fields: Any) -> str:
    """The code with which it ends, and what is said of it."""
    async with running(room(**(limits or {})), about="mine: ") as program:
        with pytest.raises(PermanentFailure) as refused:
            await asked(program, do, **fields)
    return f"{refused.value.code} {refused.value.detail}"


async def test_it_sees_nothing_of_its_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    (tmp_path / "mine").touch()
    given, not_given = os.open(tmp_path / "mine", os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(not_given, True)
    try:
        async with running(room(), files=[given]) as program:
            seen = await asked(program, "look")
    finally:
        os.close(given)
        os.close(not_given)

    names = {one.partition("=")[0] for one in seen["environment"] if one}
    opened = {number: one.partition(":")[0] for number, one in seen["descriptors"].items()}
    talk = [number for number, one in opened.items() if one == "pipe"]
    assert names <= {
        *("PYTHONDONTWRITEBYTECODE", "PYTHONUTF8", "MALLOC_ARENA_MAX", "ARROW_DEFAULT_MEMORY_POOL"),
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LC_CTYPE"),
    }
    assert len(talk) == 2
    others = {one for number, one in opened.items() if number not in talk and "/libffi.so" not in one}
    assert others == {"/dev/null", str(tmp_path / "mine")}  # libffi may open itself, once ctypes is there


async def test_it_has_less_than_its_worker() -> None:
    async with running(room()) as program:
        seen = await asked(program, "look")

    nothing = "0" * 16
    assert (seen["capabilities"], seen["no_new_privileges"]) == ([nothing] * 3, "1")
    assert seen["limits"] == {
        "DATA": [2**28] * 2,
        "FSIZE": [0, 0],
        "NOFILE": [64, 64],
        "NPROC": [0, 0],
        "CORE": [0, 0],
        "CPU": [60, 65],
    }
    assert (seen["oom"], seen["group"]) == (1000, True)
    assert seen["nice"] == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)


async def test_it_has_no_network_where_the_kernel_lets_it_have_its_own() -> None:
    own = await asyncio.create_subprocess_exec("unshare", "--user", "--net", "true", stderr=asyncio.subprocess.DEVNULL)
    if await own.wait():
        pytest.skip("this kernel gives no network of one's own")
    async with running(room()) as program:
        seen = await asked(program, "look")

    assert seen["network"] == ["lo"]


@pytest.mark.parametrize(
    ("attempted", "event"),
    [
        ("open('/dev/null', 'w')", "open"),
        ("os.open('/dev/null', os.O_WRONLY)", "open"),
        ("open('/dev/fd/../null', 'w')", "open"),
        ("os.remove('/nowhere')", "os.remove"),
        ("os.system('true')", "os.system"),
        ("os.posix_spawn('/bin/true', ['true'], {})", "os.posix_spawn"),
        ("subprocess.run(['true'])", "subprocess.Popen"),
        ("socket.create_connection(('127.0.0.1', 9))", "socket.connect"),
    ],
)
async def test_it_does_nothing_but_its_work(attempted: str, event: str) -> None:
    async with running(room()) as program:
        assert await asked(program, "try", what="open('/dev/null').close()") == "done"
    async with running(room()) as program:
        assert await asked(program, "try", what=attempted) == f"PermissionError: {event}"


async def test_what_it_is_fed_comes_back_and_then_it_is_done() -> None:
    async with running(room()) as program:
        await program.send(orjson.dumps({"do": "echo"}))
        for said in (b"", b"x", bytes(2**20)):
            await program.send(said)
            assert await program.receive() == said
        await program.end()

        assert await program.receive() is None


async def test_what_a_library_prints_is_no_part_of_the_talk() -> None:
    async with running(room()) as program:
        assert await asked(program, "print") is None


async def test_what_it_refuses_is_told_in_its_own_words() -> None:
    assert await end_of("refuse") == "test.unwanted what it was given"


async def test_memory_has_a_bound() -> None:
    assert await end_of("fill", mib=1000) == "test.memory mine: by its memory"


async def test_time_has_a_bound() -> None:
    assert await end_of("compute", {"processor_seconds": 1}) == "test.time mine: by its time"


async def test_what_it_says_has_a_bound() -> None:
    assert await end_of("shout") == "test.size mine: by its size"


async def test_a_bug_inside_tells_nothing_of_what_was_read(caplog: pytest.LogCaptureFixture) -> None:
    assert await end_of("nonsense") == "test.crash mine: by its crash"

    (said,) = [record.fields for record in caplog.records if record.name == "tasks.confined"]  # type: ignore[attr-defined]
    assert "LookupError at " in said["cause"]
    assert "secret" not in said["cause"]


@pytest.mark.parametrize(("file", "error"), [(2**10, None), (2**16, "test.size mine: by its size")])
async def test_what_it_writes_has_a_bound(tmp_path: Path, file: int, error: str | None) -> None:
    given = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT)
    try:
        async with running(room(file_bytes=2**12), about="mine: ", files=[given]) as program:
            if error is None:
                assert await asked(program, "write", path=f"/dev/fd/{given}", bytes=file) is None
                assert (tmp_path / "out").stat().st_size == file
            else:
                with pytest.raises(PermanentFailure) as refused:
                    await asked(program, "write", path=f"/dev/fd/{given}", bytes=file)
                assert f"{refused.value.code} {refused.value.detail}" == error
    finally:
        os.close(given)


async def test_a_full_disk_says_nothing_of_its_work() -> None:
    full = os.open("/dev/full", os.O_RDWR)
    try:
        async with running(room(file_bytes=2**20), files=[full]) as program:
            with pytest.raises(StorageFull):
                await asked(program, "write", path=f"/dev/fd/{full}", bytes=9)
    finally:
        os.close(full)


@pytest.mark.parametrize(("by", "becomes"), [(signal.SIGKILL, Unavailable), (signal.SIGSEGV, PermanentFailure)])
async def test_who_kills_it_says_what_became_of_it(by: signal.Signals, becomes: type[Exception]) -> None:
    """Where memory is short the system ends whom it likes."""
    async with running(room()) as program:
        await program.send(orjson.dumps({"do": "echo"}))
        await program.send(b"begun")
        assert await program.receive() == b"begun"
        os.kill(program._process.pid, by)

        with pytest.raises(becomes):
            await program.receive()


async def test_whoever_leaves_takes_it_along() -> None:
    held = asyncio.Event()

    async def compute() -> None:
        async with running(room()) as program:
            await program.send(orjson.dumps({"do": "compute"}))
            held.set()
            await program.receive()

    before = set(confined())
    working = asyncio.create_task(compute())
    await held.wait()
    begun = [one for one in confined() if one not in before]
    working.cancel()
    await asyncio.wait({working})

    assert len(begun) == 1
    assert not begun[0].is_running()


def confined() -> list[psutil.Process]:
    """Programs that run for this process."""
    found = []
    for one in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # or is dead, and nobody has asked how it ended yet
            if "services.tasks.confined" in one.cmdline():
                found.append(one)
    return found
