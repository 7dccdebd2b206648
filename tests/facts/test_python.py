import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from proxy.errors import Away, FactFault, SetupFault
from proxy.facts.cache import Facts
from proxy.facts.lane import FAILURES, WIDTH
from proxy.facts.python import Function
from proxy.policy.decision import Known, Lost
from proxy.policy.declared import PythonSource
from proxy.policy.types import ANY, STRING
from tests.facts import functions
from tests.facts.scene import declare


def function(name: str, *parameters: str, module: str = "tests.facts.functions") -> Function:
    return Function(declare(ANY, dict.fromkeys(parameters, STRING)), PythonSource(target=f"{module}:{name}"))


@pytest.fixture
def stuck() -> Iterator[None]:
    """Lets go at the end of what is stuck."""
    functions.gate.clear()
    yield
    functions.gate.set()


async def test_an_async_function_is_called_with_its_arguments_by_name() -> None:
    assert await function("role", "uid", "doc")(("42", "7")) == {"role": "7:42"}


async def test_an_object_that_is_called_asynchronously_is_a_function() -> None:
    assert await function("role_of", "uid")(("42",)) == "role of 42"


async def test_any_other_function_is_called_in_a_thread() -> None:
    assert await function("age", "uid")(("main",)) is False
    assert await function("loose", "uid", "doc")(("1", "2")) == {"uid": "1", "doc": "2"}


async def test_what_it_returns_is_copied_as_json() -> None:
    age = function("age", "uid")
    assert await age(("tuple",)) == [1, 2]
    assert await age(("none",)) is None
    assert await age(("nan",)) is None
    for odd in ("bytes", "odd", "long", "class", "text"):
        with pytest.raises(FactFault, match=r"^python tests\.facts\.functions:age: what it returned is not JSON$"):
            await age((odd,))


async def test_what_it_raises_is_a_failure_of_this_key() -> None:
    age = function("age", "uid")
    for _ in range(2 * FAILURES):
        with pytest.raises(KeyError):
            await age(("absent",))
    with pytest.raises(FactFault, match=r"^python tests\.facts\.functions:age: SystemExit$"):
        await age(("exit",))
    assert await age(("none",)) is None


async def test_what_it_cannot_reach_is_away() -> None:
    away = function("away", "uid")
    for _ in range(FAILURES):
        with pytest.raises(Away, match=r"^python tests\.facts\.functions:away: ConnectionRefusedError$"):
            await away(("secret",))
    with pytest.raises(Away, match="out of order"):
        await away(("secret",))


async def started(count: int) -> None:
    await asyncio.to_thread(lambda: [functions.started.acquire() for _ in range(count)])


@pytest.mark.usefixtures("stuck")
async def test_what_is_stuck_holds_up_no_other_and_not_the_end() -> None:
    facts = Facts(
        {"stuck": declare(STRING, name="stuck"), "quick": declare(STRING, {"other": STRING}, name="quick")},
        {"stuck": function("stuck", "uid"), "quick": function("one", "other")},
    )
    loading = asyncio.create_task(facts.load([("stuck", str(n)) for n in range(3 * WIDTH)]))
    await started(WIDTH)
    known = (await facts.load([("quick", "x")]))["quick", "x"]
    assert isinstance(known, Known)
    assert known.value == "x"
    await facts.close()
    assert {*(await loading).values()} == {Lost(why="stopped")}


@pytest.mark.usefixtures("stuck")
async def test_a_place_is_free_again_when_the_thread_is_back_and_not_before() -> None:
    stuck = function("stuck", "uid")
    calls = [asyncio.create_task(stuck((str(n),))) for n in range(WIDTH)]
    await started(WIDTH)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    stuck._lane._failures = 0  # it is about the threads here
    late = asyncio.create_task(stuck(("late",)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert threading.active_count() >= WIDTH
    assert not functions.started.acquire(blocking=False)
    functions.gate.set()
    assert await late == "late"
    await started(1)


async def test_where_no_thread_can_be_started_it_is_away_and_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    age = function("age", "uid")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        for _ in range(WIDTH):
            with pytest.raises(Away, match=r"no thread can be started$|out of order$"):
                await age(("none",))
    assert age._threads._value == WIDTH
    age._lane._until = 0
    assert await age(("none",)) is None


async def test_an_endless_coroutine_ends_when_it_is_late() -> None:
    facts = Facts({"it": declare(ANY, {}, timeout_ms=1)}, {"it": function("endless")})
    assert await facts.load([("it",)]) == {("it",): Lost(why="timeout")}
    await facts.close()


def test_a_thread_that_is_stuck_keeps_no_process_from_ending() -> None:
    program = """
        import asyncio
        from proxy.facts.cache import Facts
        from tests.facts.test_python import function, declare
        facts = Facts({"it": declare(timeout_ms=50)}, {"it": function("stuck", "uid")})
        async def main():
            print((await facts.load([("it", "x")]))["it", "x"].why)
            await facts.close()
        asyncio.run(main())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("timeout\n", "")


async def test_nobody_is_left_who_could_be_told() -> None:
    functions.gate.clear()
    stuck = function("stuck", "uid")

    def alone() -> threading.Thread:
        async def call() -> threading.Thread:
            task = asyncio.create_task(stuck(("x",)))
            await started(1)
            (thread,) = [each for each in threading.enumerate() if each.daemon and "(work)" in each.name]
            task.cancel()
            return thread

        return asyncio.run(call())

    thread = await asyncio.to_thread(alone)
    functions.gate.set()
    await asyncio.to_thread(thread.join)


async def test_a_probe_calls_nothing() -> None:
    await function("away", "uid").probe()


@pytest.mark.parametrize(("name", "module", "why"), [
    ("role", "tests.facts.absent", r"from tests\.facts\.absent:role, which cannot be imported: No module named 'tests\.facts\.absent'$"),
    ("absent", "tests.facts.functions", r"from tests\.facts\.functions:absent, but tests\.facts\.functions has no absent$"),
    ("x", "tests.facts.broken", r"from tests\.facts\.broken:x, but importing tests\.facts\.broken raises ValueError$"),
    ("NUMBER", "tests.facts.functions", r"from tests\.facts\.functions:NUMBER, which is no function$"),
    ("role", "tests.facts.functions", r", which cannot be called with uid by name: missing a required argument: 'doc'$"),
    ("one", "tests.facts.functions", r", which cannot be called with uid by name: "),
    ("positional", "tests.facts.functions", r", which cannot be called with uid by name: "),
    ("endless", "tests.facts.functions", r", which cannot be called with uid by name: got an unexpected keyword argument 'uid'$"),
])  # fmt: skip
def test_what_cannot_be_called_stops_the_start(name: str, module: str, why: str) -> None:
    with pytest.raises(SetupFault, match=f"^the policy's fact it comes {why}" if why.startswith("from") else why) as caught:
        function(name, "uid", module=module)
    assert "secret" not in str(caught.value)


def test_a_function_without_parameters_says_so() -> None:
    with pytest.raises(SetupFault, match="which cannot be called with no arguments: missing a required argument: 'other'"):
        function("one")
