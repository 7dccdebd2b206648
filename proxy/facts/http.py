"""Facts from HTTP applications: one GET a key, of which a JSON pointer may pick a part."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import quote

import orjson

from proxy.errors import Away, FactFault
from proxy.facts.lane import SHARE, Lane
from proxy.policy.declared import Fact, HttpSource

FOUND, ABSENT = 200, 404
AWAY = frozenset((429, 502, 503, 504))
"""Statuses that are about the application and not about what it was asked for."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME = re.compile(r"\{(\w+)\}")
_INDEX = re.compile(r"0|[1-9][0-9]*")


class Remote(Protocol):
    """An HTTP application."""

    async def get(self, path: str, /) -> tuple[int, object]:
        """The status and, of a 200, the JSON value; raises `FactFault` for no answer."""

    async def reach(self) -> None:
        """Returns when it answers at all; raises `FactFault`."""


class Resource:
    """Loads one fact: 200 is the value or the part of it that is picked, 404 is None, anything else a failure.

    `turns` are those that facts of the same application share.
    """

    def __init__(self, fact: Fact, source: HttpSource, remote: Remote, turns: asyncio.Semaphore) -> None:
        self._parameters, self._remote = fact.parameters, remote
        self._lane = Lane(fact.name, SHARE, turns)
        self._name, self._path = f"http {source.remote}", source.path
        self._pointer = None if source.pick is None else steps(source.pick)

    async def __call__(self, arguments: Sequence[object], /) -> object:
        """The value, not yet fitted to its type; raises `FactFault`."""
        path = self._filled(dict(zip(self._parameters, arguments, strict=True)))
        status, value = await self._lane.run(lambda: self._asked(path))
        if status == ABSENT:
            return None
        if status != FOUND:
            raise FactFault(f"{self._name}: status {status}")
        return value if self._pointer is None else picked(value, self._pointer)

    async def probe(self) -> None:
        """Returns when the application answers; raises `FactFault`."""
        await self._remote.reach()

    async def _asked(self, path: str) -> tuple[int, object]:
        try:
            status, value = await self._remote.get(path)
        except FactFault as failure:
            raise Away(str(failure)) from failure
        if status in AWAY:
            raise Away(f"{self._name}: status {status}")
        return status, value

    def _filled(self, arguments: Mapping[str, object]) -> str:
        """The path with its arguments, each of which stays in its segment; raises `FactFault` for one that could not."""
        return _NAME.sub(lambda name: quote(_text(arguments[name[1]]), safe=""), self._path)


def steps(pointer: str) -> tuple[str, ...]:
    """The steps of a JSON pointer (RFC 6901), unescaped."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def picked(value: object, pointer: Sequence[str]) -> object:
    """What a pointer refers to; raises `FactFault` where that does not exist, which is no null: a reply of that kind was not foreseen."""
    for step in pointer:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            raise FactFault("the reply does not have what is picked")
    return value


def _text(argument: object) -> str:
    """An argument as it stands in a path; what a server may decode and then follow is refused, in whatever way it is encoded."""
    text = argument if isinstance(argument, str) else orjson.dumps(argument).decode()
    if not text or _CONTROL.search(text) or not {".", ".."}.isdisjoint(re.split(r"[/\\]", text)):
        raise FactFault("an argument cannot stand in a path")
    return text
