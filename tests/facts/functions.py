"""Functions that the tests of Python facts name."""

import asyncio
import dataclasses
import sys
import threading
from typing import Any

gate = threading.Event()
"""What `stuck` waits for."""

started = threading.Semaphore(0)
"""Released by each `stuck`."""

NUMBER = 7


async def role(doc: str, uid: str) -> Any:  # noqa: ANN401 - whatever a policy's author returns
    await asyncio.sleep(0)
    return {"role": f"{doc}:{uid}"}


def age(uid: str) -> Any:  # noqa: ANN401 - as above
    if uid == "exit":
        sys.exit(3)
    return {
        "main": threading.current_thread() is threading.main_thread(),
        "tuple": (1, 2),
        "none": None,
        "bytes": b"",
        "odd": {1: 2},
        "long": 2**64,
        "class": Point(x=1),
        "text": Text("x"),
        "nan": float("nan"),
    }[uid]


def stuck(uid: str) -> str:
    started.release()
    gate.wait()
    return uid


async def endless() -> None:
    await asyncio.Event().wait()


async def away(uid: str) -> None:
    raise ConnectionRefusedError(uid)


def loose(**names: object) -> Any:  # noqa: ANN401 - as above
    return names


def one(other: str) -> str:
    return other


def positional(uid: str, /) -> str:
    return uid


class Text(str):
    __slots__ = ()


@dataclasses.dataclass
class Point:
    x: int


class Role:
    async def __call__(self, uid: str) -> str:
        return f"role of {uid}"


role_of = Role()
