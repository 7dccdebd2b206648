"""Facts from Python functions: on the loop where they are async, else in threads that nobody has to wait for."""

import asyncio
import contextlib
import importlib
import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from proxy.errors import Away, FactFault, SetupFault
from proxy.facts.lane import WIDTH, Lane
from proxy.policy.declared import Fact, PythonSource


class Function:
    """Loads one fact by calling a function with its arguments by name; what it returns must be JSON, and is copied.

    Raises `SetupFault` where the function cannot be imported or called like that.
    """

    def __init__(self, fact: Fact, source: PythonSource) -> None:
        self._parameters = fact.parameters
        self._function = _imported(fact, source.target)
        called = type(self._function).__call__  # an object may be called as an async function
        self._async = any(map(inspect.iscoroutinefunction, (self._function, called)))
        self._name = f"python {source.target}"
        self._lane = Lane(fact.name)
        self._threads = asyncio.Semaphore(WIDTH)

    async def __call__(self, arguments: Sequence[object], /) -> object:
        """The value, not yet fitted to its type; raises `FactFault` and whatever the function raises."""
        named = dict(zip(self._parameters, arguments, strict=True))
        value = await self._lane.run(lambda: self._called(named))
        try:
            return orjson.loads(orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS))
        except (TypeError, ValueError):
            raise FactFault(f"{self._name}: what it returned is not JSON") from None

    async def probe(self) -> None:
        """Nothing: it was imported at the start, and calling it is for those who need its value."""

    async def _called(self, named: dict[str, object]) -> object:
        try:
            return await (self._function(**named) if self._async else self._apart(named))
        except OSError as error:  # it lost what it asks, and that is not about its arguments
            raise Away(f"{self._name}: {type(error).__name__}") from error

    async def _apart(self, named: dict[str, object]) -> object:
        """Calls the function in a thread of its own; who gives up leaves it there, and its place stays taken until it is back."""
        await self._threads.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[object] = loop.create_future()

        def land(value: object, error: Exception | None) -> None:
            self._threads.release()
            if not answer.done():
                answer.set_exception(error) if error else answer.set_result(value)

        def work() -> None:
            value, error = None, None
            try:
                value = self._function(**named)
            except Exception as raised:  # noqa: BLE001 - it is the fact's failure, never the thread's
                error = raised
            except BaseException as raised:  # noqa: BLE001 - a call of sys.exit ends no service
                error = FactFault(f"{self._name}: {type(raised).__name__}")
            with contextlib.suppress(RuntimeError):  # the loop is gone, and so is everybody who waited
                loop.call_soon_threadsafe(land, value, error)

        try:  # a daemon, and none of an executor's: those are waited for when the process ends
            threading.Thread(target=work, daemon=True).start()
        except RuntimeError:
            self._threads.release()
            raise Away(f"{self._name}: no thread can be started") from None
        return await answer


def _imported(fact: Fact, target: str) -> Callable[..., Any]:
    begin = f"the policy's fact {fact.name} comes from {target}"
    module, _, name = target.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise SetupFault(f"{begin}, which cannot be imported: {error}") from None
    except AttributeError:
        raise SetupFault(f"{begin}, but {module} has no {name}") from None
    except Exception as error:
        raise SetupFault(f"{begin}, but importing {module} raises {type(error).__name__}") from error
    if not callable(function):
        raise SetupFault(f"{begin}, which is no function")
    try:
        inspect.signature(function).bind(**dict.fromkeys(fact.parameters))
    except (TypeError, ValueError) as error:
        named = f"{', '.join(fact.parameters)} by name" if fact.parameters else "no arguments"
        raise SetupFault(f"{begin}, which cannot be called with {named}: {error}") from None
    return function  # type: ignore[no-any-return]  # it is callable
