"""Decides the requests of a decision log again, by another policy, and counts what flips.

The facts are those that the log has. One that it lacks, or of which a part is masked, is not guessed: a decision that depends on it is
unknown, as is one that looks at a masked part of the request.
"""

import functools
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from proxy.errors import Malformed, SetupFault
from proxy.policy.decision import Allow, FactKey, Known, Lost, NeedFacts, Request
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.policy.types import Misfit
from proxy.review import lines
from proxy.review.flips import Flip, Tally, Verdict
from proxy.review.journal import MASK
from proxy.review.masks import looked_at

LONGEST: Final = 4 << 20
"""Bytes of a line; longer ones are no decisions."""

CHUNK: Final = 16 << 20
"""Bytes of the log that one process takes at once; a log of one chunk is read in this process."""

Progress = Callable[[int, int], None]
_MARK: Final = f'"{MASK}"'.encode()
_CHANNELS: Final = 10_000


class Replay:
    """Decides logged requests by a policy; with `before`, what it decides is compared with that policy instead of with the log."""

    def __init__(self, policy: Policy, before: Policy | None = None) -> None:
        self._policy, self._before = policy, before
        self._moved = _moved(before, policy) if before else frozenset()
        self._target = functools.lru_cache(_CHANNELS)(self._pattern)

    def line(self, raw: bytes, number: int, into: Tally) -> None:
        """Count one line."""
        try:
            request, facts, before = _entry(raw)
        except (orjson.JSONDecodeError, Malformed, KeyError, TypeError, AttributeError):
            into.reject(number)
            return
        into.read += 1
        if before is None:
            into.passed += 1
            return
        masked = _MARK in raw
        after = self._decided(self._policy, request, facts, masked=masked)
        if self._before is not None:
            before = self._decided(self._before, request, facts, masked=masked)
        self._count(request, before, after, number, into)

    def _count(self, request: Request, before: "_End", after: "_End", number: int, into: Tally) -> None:
        verdict = _verdict(before, after)
        if verdict is None:
            into.same += 1
            return
        target = f"service {request.service}" if request.service is not None else self._target(request.channel, request.method)
        flip = Flip(verdict=verdict, operation=request.op, target=target, before=_said(before), after=_said(after))
        who = f"user {request.user}" if request.service is None else f"service {request.service}"
        into.note(flip, number, f"{who} {request.op} {request.channel or request.method or ''}".rstrip())

    def _decided(self, policy: Policy, request: Request, facts: Mapping[str, Any], *, masked: bool) -> "_End":
        source = _Source(policy, facts, self._moved if policy is self._policy else frozenset())
        if masked:
            hidden = looked_at(policy, request, source)
            if hidden:
                return None, hidden, ""
        found = policy.decide(request, source)
        if isinstance(found, NeedFacts):
            names = sorted({str(key[0]) for key in found.keys})
            return None, f"the log lacks what the fact {' or '.join(names)} was", ""
        return isinstance(found, Allow), found.reason, found.rule or ""

    def _pattern(self, channel: str | None, method: str | None) -> str:
        """The pattern of a channel, or itself where there is none of one."""
        if channel is None:
            return method or ""
        plans = self._policy.decider.plans.channels
        return next((pattern.text for pattern, _ in plans if pattern.matches(channel) is not None), "(no pattern)")


_End = tuple[bool | None, str, str]
"""Whether it is allowed (None: not known), the reason or why it is not known, and the rule."""


class _Source:
    """The facts of a line, those of `moved` names excepted; what is not in it is never asked from elsewhere."""

    def __init__(self, policy: Policy, given: Mapping[str, Any], moved: frozenset[str]) -> None:
        self._facts, self._given, self._moved = policy.facts, given, moved

    def get(self, key: FactKey, /) -> Known | Lost | None:
        """The fact as it was logged, None if that cannot be said."""
        name = str(key[0])
        text = lines.fact_text(key)
        if text not in self._given or name in self._moved:
            return None
        value = self._given[text]
        if type(value) is dict and len(value) == 1 and "$error" in value:
            return Lost(why=str(value["$error"]))
        try:
            return Known(value=self._facts[name].fit(value))
        except Misfit:
            return None


def _moved(before: Policy, after: Policy) -> frozenset[str]:
    """Facts that both policies have under one name, but not from one source or of one type."""
    shared = before.facts.keys() & after.facts.keys()
    return frozenset(
        name
        for name in shared
        if (before.facts[name].source, before.facts[name].type) != (after.facts[name].source, after.facts[name].type)
    )


def _entry(raw: bytes) -> tuple[Request, Mapping[str, Any], _End | None]:
    """The request of a line, its facts and what was decided, which is None where no policy did; raises what reading JSON may."""
    found = orjson.loads(raw)
    asked, decided, revision = found["request"], found["decision"], found["revision"]
    request, facts = lines.request(asked), asked["facts"]
    request.ambiguous |= asked.get("ambiguous") is True
    if type(facts) is not dict or type(revision) is not str:
        raise Malformed("this is no line of the decision log")
    return request, facts, _logged(decided) if revision else None


def _logged(decided: Mapping[str, Any]) -> _End:
    """What the log says; a request that was over its limit was allowed as far as the policy goes."""
    effect, reason, rule = decided["effect"], decided["reason"], decided.get("rule") or ""
    if effect not in ("allow", "deny") or type(reason) is not str or type(rule) is not str:
        raise Malformed("this is no decision")
    if reason == "limit":
        return True, "allowed", rule
    return effect == "allow", reason, rule


def _verdict(before: _End, after: _End) -> Verdict | None:
    if before[0] is None or after[0] is None:
        return "unknown"
    if before[0] is not after[0]:
        return "newly allowed" if after[0] else "newly denied"
    if after[0]:
        return None if before[2] == after[2] else "another rule"
    return None if before[1] == after[1] else "another reason"


def _said(end: _End) -> str:
    allowed, reason, rule = end
    return rule if allowed else reason


def replay(log: Path | None, files: Mapping[str, bytes], before: Mapping[str, bytes] | None = None, *, progress: Progress) -> Tally:
    """Replay a log, None for standard input, by the policy of these files; large logs in several processes.

    `progress` is told how many bytes of how many are done. Raises `SetupFault` if nothing in it can be read, and `OSError`.
    """
    if log is None:
        tally = _stream(Replay(_policy(files), _policy(before) if before else None), sys.stdin.buffer)
    else:
        size = log.stat().st_size
        tally = Tally()
        for done, part in _parts(log, size, files, before):
            tally.join(part)
            progress(min(done, size), size)
    if tally.unreadable and not tally.read:
        raise SetupFault(f"{log or 'standard input'} is no decision log: not one line of it can be read")
    return tally


def _policy(files: Mapping[str, bytes]) -> Policy:
    found = load(files).policy
    if found is None:
        raise SetupFault("the policy cannot be used")
    return found


def _parts(log: Path, size: int, files: Mapping[str, bytes], before: Mapping[str, bytes] | None) -> Iterator[tuple[int, Tally]]:
    """The tallies of the log's chunks in order, each with the end of its chunk."""
    starts = range(0, size, CHUNK)
    if len(starts) <= 1:
        _prepare(files, before)
        yield from ((start + CHUNK, chunk(log, start, CHUNK)) for start in starts)
        return
    processes = min(len(starts), os.cpu_count() or 1)
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _prepare, (files, before)) as pool:
        for start, tally in zip(starts, pool.map(chunk, [log] * len(starts), starts, [CHUNK] * len(starts)), strict=True):
            yield start + CHUNK, tally


_PREPARED: list[Replay] = []
"""What a process of the pool replays with."""


def _prepare(files: Mapping[str, bytes], before: Mapping[str, bytes] | None) -> None:
    _PREPARED[:] = [Replay(_policy(files), _policy(before) if before else None)]


def chunk(log: Path, start: int, size: int) -> Tally:
    """Count the lines that begin within so many bytes of a log."""
    with log.open("rb") as stream:
        if start:
            stream.seek(start - 1)
            _skip(stream)
        return _stream(_PREPARED[0], stream, start + size)


def _skip(stream: BinaryIO) -> None:
    """Go to the beginning of the next line."""
    while (read := stream.readline(LONGEST)) and not read.endswith(b"\n"):
        pass


def _stream(by: Replay, stream: BinaryIO, end: int | None = None) -> Tally:
    tally = Tally()
    at = stream.tell() if end is not None else 0
    while (end is None or at < end) and (raw := stream.readline(LONGEST)):
        at += len(raw)
        if len(raw) == LONGEST and not raw.endswith(b"\n"):
            tally.reject(tally.lines + 1)
            while rest := stream.readline(LONGEST):
                at += len(rest)
                if rest.endswith(b"\n"):
                    break
        elif raw != b"\n":
            by.line(raw, tally.lines + 1, tally)
    return tally
