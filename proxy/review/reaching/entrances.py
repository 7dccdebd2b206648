"""The entrances to an operation: users by the hook or with a token, one user, each service; and who gets through each."""

import dataclasses
import difflib
import enum
from collections.abc import Iterator, Mapping
from typing import Final

from proxy.errors import Malformed
from proxy.policy.checking.world import meant
from proxy.policy.decision import OPERATIONS, Facts, Request
from proxy.policy.names import METHODS
from proxy.policy.patterns import LONGEST, Pattern, well_formed
from proxy.policy.policy import Policy
from proxy.review.cases import behind
from proxy.review.comparing.course import Unit
from proxy.review.reaching.survey import NO_RULE, Known, Nothing, Reach, Survey, lease
from proxy.review.wording import quoted, visible

_PEOPLE: Final = (*OPERATIONS, "connect", "rpc")
_RENEWED: Final = {"refresh": "connect", "sub_refresh": "subscribe"}
_TOKENS: Final = ("connect", "subscribe")
_NEAR, _MANY, _ALIKE = 3, 1000, 0.5
"""So many patterns are named as near a channel that matches none, of at most so many, if so much is alike."""

_UNFIT: Final = f"a channel has 1 to {LONGEST} printable ASCII characters and no space; this one has not"


class Via(enum.StrEnum):
    """How an operation is asked for: a client by Centrifugo's hook, a browser at a token endpoint, a backend with its key."""

    hook = "hook"
    token = "token"  # noqa: S105 - a word
    service = "service"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Who can do `operation` on `target`, a channel or for `rpc` a method; by one entrance, or as these users, if it says so."""

    operation: str
    target: str | None = None
    via: Via | None = None
    users: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """One entrance and who gets through it; `name` is a service's, or a user that is spoken of alone, else None."""

    via: Via
    name: str | None
    reach: Reach


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The entrances of an operation; `near` are patterns like the channel where none matches it."""

    query: Query
    revision: str
    entrances: tuple[Entrance, ...]
    pattern: str | None = None
    variables: Mapping[str, str | int] = dataclasses.field(default_factory=dict)
    near: tuple[str, ...] = ()

    @property
    def nobody(self) -> bool:
        """Whether no entrance is open to anybody."""
        return not any(entrance.reach.ways for entrance in self.entrances)


def answer(policy: Policy, names: Mapping[str, str], query: Query, facts: Facts) -> Answer:
    """Survey what is asked; `facts` are those of the users, `names` those of schema files by their digests.

    Raises `Malformed` for what cannot be asked.
    """
    _check(query)
    found = _Find(policy, Survey(policy, names), query, facts)
    return Answer(
        query=query,
        revision=policy.revision,
        entrances=tuple(found.entrances()),
        pattern=found.pattern.text if found.pattern else None,
        variables=found.variables or {},
        near=() if found.pattern or query.operation not in OPERATIONS else _near(policy, query.target or ""),
    )


def _check(query: Query) -> None:
    """Object to what cannot be asked."""
    op, via = query.operation, query.via
    if op == "batch":
        raise Malformed("a batch needs no rule: ask for each of its commands")
    if op == "sub_refresh" or (op == "refresh" and via in (Via.hook, Via.token)):
        raise Malformed(f"{op} is decided as {_RENEWED[op]}: ask who can {_RENEWED[op]}")
    known = {None: (*_PEOPLE, *METHODS), Via.hook: _PEOPLE, Via.token: _TOKENS, Via.service: METHODS}[via]
    if op not in known:
        by = f" by --via {via}" if via else ""
        raise Malformed(f'there is no operation "{visible(op)}"{by}; {meant(op, known) or "there are " + ", ".join(dict.fromkeys(known))}')
    if query.users and (via is Via.service or op not in _PEOPLE):
        raise Malformed("--user says which user, and users do not come by --via service: leave one of them out")
    what, required = behind(op, service=op not in _PEOPLE or via is Via.service)
    if required and query.target is None:
        raise Malformed(f"{op} needs a {what}: who-can {op} {what.upper()}")
    if query.target is not None and not what:
        raise Malformed(f"{op} has no channel: leave {quoted(query.target)} out")


def _near(policy: Policy, channel: str) -> tuple[str, ...]:
    """Patterns that look like the channel, the most alike first."""
    texts = [pattern.text for pattern, _ in policy.decider.plans.channels]
    few = len(channel) <= LONGEST and len(texts) <= _MANY
    return tuple(difflib.get_close_matches(channel, texts, n=_NEAR, cutoff=_ALIKE)) if few else ()


class _Find:
    """Finds the units of a policy that are asked for."""

    def __init__(self, policy: Policy, survey: Survey, query: Query, facts: Facts) -> None:
        self._policy, self._survey, self._query, self._facts = policy, survey, query, facts
        self.pattern: Pattern | None = None
        self.variables: Mapping[str, str | int] | None = None
        if query.operation in OPERATIONS and query.target is not None:
            for pattern, _ in policy.decider.plans.channels:
                variables = pattern.matches(query.target)
                if variables is not None:
                    self.pattern, self.variables = pattern, variables

    def entrances(self) -> Iterator[Entrance]:
        """All entrances that are asked for."""
        query = self._query
        via = Via.token if query.via is Via.token else Via.hook
        if query.operation in _PEOPLE and query.via is not Via.service:
            for user in query.users or (None,):
                yield Entrance(via=via, name=user, reach=self._people(self._known(via, user)))
        if query.operation in METHODS and query.via in (None, Via.service) and not query.users:
            for service in self._policy.services:
                yield Entrance(via=Via.service, name=service, reach=self._service(service))

    def _known(self, via: Via, user: str | None) -> Known:
        op, target = self._query.operation, self._query.target
        names = {"op"} | ({"user"} if user is not None else set()) | ({"method"} if op == "rpc" else {"channel"})
        if via is Via.token:  # it asks without these
            names |= {"client", "transport", "labels"} | ({"data"} if op == "subscribe" else set())
        return Known(
            request=Request(op=op, user=user, channel=None if op == "rpc" else target, method=target if op == "rpc" else None),
            names=frozenset(names),
            variables=self.variables,
            facts=Nothing() if user is None else self._facts,
        )

    def _people(self, known: Known) -> Reach:
        plans, op, target = self._policy.decider.plans, self._query.operation, self._query.target
        if op == "connect":
            return self._connect(known)
        if op == "rpc":
            rpc = plans.rpcs.get(target or "")
            if rpc is None:
                return Reach(why=f"there is no such rpc{_hint(target or '', plans.rpcs)}")
            label = "answer" if rpc.answer.kind in ("forward", "value") else f"answer {rpc.answer.kind}"
            return self._survey.reach(Unit(plan=rpc.plan, late=rpc.answer.value), known, label)
        if self.pattern is None:
            return Reach(why="no pattern matches this channel" if well_formed(target or "") else _UNFIT)
        plan = dict(plans.channels)[self.pattern].get(op)
        return Reach(why=NO_RULE) if plan is None else self._survey.reach(Unit(plan=plan, pattern=self.pattern), known)

    def _connect(self, known: Known) -> Reach:
        connect = self._policy.decider.plans.connect
        found = self._survey.reach(Unit(plan=connect.plan, late=connect.data), known)
        if connect.expire_ms is None:
            return found
        end = lease(connect.expire_ms, connect.jitter)
        return dataclasses.replace(found, ways=tuple(dataclasses.replace(way, gives=(*way.gives, end)) for way in found.ways))

    def _service(self, name: str) -> Reach:
        op, target = self._query.operation, self._query.target
        channel = None if op == "rpc" else target
        plan = self._policy.decider.plans.services[name][op]
        if channel is not None and not well_formed(channel):
            return Reach(why=_UNFIT)
        request = Request(op=op, service=name, method=op, channel=channel)
        return self._survey.reach(Unit(plan=plan), Known(request=request, names=frozenset(("service", "method", "channel"))))


def _hint(name: str, known: Mapping[str, object]) -> str:
    near = meant(name, known)
    return f"; {near}" if near else ""
