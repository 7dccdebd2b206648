"""The methods that this service carries out itself: people, tokens, facts and the policy are its own business."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from proxy.errors import SetupFault
from proxy.wire.api import ApiError, Command, Outcome, Result
from proxy.wire.claims import EXPIRE_AT
from proxy.wire.codes import ErrorCode
from proxy.wire.connections import Connection, listed

UNKNOWN: Final = ApiError(code=ErrorCode.NOT_AVAILABLE, message="this token is not known here")
"""It has expired, or was minted before this process began: block its user instead."""

_DONE: Final = Result(fields={})

Forget: TypeAlias = Callable[[Collection[str]], Awaitable[int]]
"""Forgets the facts with these topics and gives the number of those that were cached; raises `Fault`."""

Reload: TypeAlias = Callable[[], Awaitable[str]]
"""Puts the policy in force that stands in its folder and gives its revision; raises `SetupFault` for one that cannot be used."""


class People(Protocol):
    """Who keeps people out; times are epoch seconds. What cannot be kept raises `Fault`."""

    async def block(self, user: str, until_s: int | None) -> None:
        """Keep a user out until then, None: until that is taken back."""

    async def unblock(self, user: str) -> None:
        """Let a user in again."""

    async def revoke(self, token: str) -> bool:
        """End what the token with this `jti` gives; False if it is not known."""

    async def outdate(self, user: str, before_s: int | None, channel: str | None) -> None:
        """End what tokens of a user give that were minted before then (None: now), on one channel or altogether."""

    def connections(self, user: str | None) -> Sequence[Connection]:
        """Give the connections of a user, or of everybody."""


class Own:
    """Carries out commands that are not Centrifugo's."""

    def __init__(self, people: People, forget: Forget, reload: Reload) -> None:
        self._people = people
        self._forget = forget
        self._reload = reload
        self._ways: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Outcome]]] = {
            "block_user": self._block,
            "unblock_user": self._unblock,
            "revoke_token": self._revoke,
            "invalidate_user_tokens": self._outdate,
            "connections": self._list,
            "invalidate": self._invalidate,
            "reload": self._renew,
        }

    async def carry(self, command: Command) -> Outcome:
        """Carry out one command; raises `Fault` when that failed."""
        return await self._ways[command.method](command.params)

    async def _block(self, params: Mapping[str, Any]) -> Outcome:
        await self._people.block(params["user"], params.get(EXPIRE_AT) or None)
        return _DONE

    async def _unblock(self, params: Mapping[str, Any]) -> Outcome:
        await self._people.unblock(params["user"])
        return _DONE

    async def _revoke(self, params: Mapping[str, Any]) -> Outcome:
        return _DONE if await self._people.revoke(params["uid"]) else UNKNOWN

    async def _outdate(self, params: Mapping[str, Any]) -> Outcome:
        await self._people.outdate(params["user"], params.get("issued_before") or None, params.get("channel") or None)
        return _DONE

    async def _list(self, params: Mapping[str, Any]) -> Outcome:
        return Result(fields=listed(self._people.connections(params.get("user") or None)))

    async def _invalidate(self, params: Mapping[str, Any]) -> Outcome:
        return Result(fields={"facts": await self._forget(params["topics"])})

    async def _renew(self, _params: Mapping[str, Any]) -> Outcome:
        try:
            return Result(fields={"revision": await self._reload()})
        except SetupFault as fault:
            return ApiError(code=ErrorCode.BAD_REQUEST, message=str(fault))
