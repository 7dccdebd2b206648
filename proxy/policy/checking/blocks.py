"""Checks the blocks that hold rules: channels, connect, rpcs, services."""

from collections.abc import Iterable, Mapping, Sequence

from proxy.policy.checking import declare, lint
from proxy.policy.checking.allows import Allows, Block, operations, pattern, variables
from proxy.policy.checking.ground import Ground, Guard
from proxy.policy.checking.infer import value
from proxy.policy.checking.plan import AnswerPlan, Checked, ConnectPlan, DenyPlan, Obligations, Plan, RpcPlan, RulePlan
from proxy.policy.checking.world import Scope
from proxy.policy.decision import OPERATIONS
from proxy.policy.declared import Service, Variable
from proxy.policy.names import METHODS
from proxy.policy.overlap import overlaps
from proxy.policy.patterns import Parameter, Pattern
from proxy.policy.reading import clauses, obligations, statements
from proxy.policy.types import STRING

_DEFAULT = RulePlan(id="connect/default", at="", schema=None, when=None, obligations=Obligations(), looks=False)


class Blocks:
    """The blocks of one policy set."""

    def __init__(self, ground: Ground, *, guests: bool) -> None:
        self.ground, self.book, self.guests = ground, ground.book, guests
        self.rules = Allows(ground.book, ground.files)
        self._common: dict[str, tuple[DenyPlan, ...]] = {}

    def channels(self) -> tuple[tuple[Pattern, Mapping[str, Plan]], ...]:
        """The `channel` blocks: their patterns do not overlap."""
        nodes = [(n, pattern(n.pattern, self.book)) for n in self.ground.all(statements.Channel)]
        out = [(found, self._channel(node, found)) for node, found in nodes]
        good = [(node, found) for node, found in nodes if found is not None]
        for one, other, witness in overlaps([found for _, found in good]):
            first, second = good[one][0].pattern, good[other][0].pattern
            message = f'"{first.value}" at {first.at} matches "{witness}" too'
            self.book.find("overlapping-patterns", second.at, message, "a channel belongs to one block")
        return tuple((found, plans) for found, plans in out if found is not None)

    def _channel(self, node: statements.Channel, found: Pattern | None) -> Mapping[str, Plan]:
        if found is not None and isinstance(found.pieces[0], Parameter):
            self.book.find("pattern-without-prefix", node.pattern.at, "the pattern begins with a parameter", "begin with a literal prefix")
        name = node.pattern.value
        types = {**self.ground.types, "vars": variables(found)}
        lets, guards = self.ground.block(node.statements, types, f"{name}/deny")
        block = Block(id=lambda op, rule: f"{name}/{op}/{rule}", types=types, lets=lets, guards=_known(guards), scope=True)
        allows = [s for s in node.statements if isinstance(s, obligations.Allow)]
        rules = self.rules.check(allows, lambda allow: operations(allow.operations, OPERATIONS, self.book), block)
        for rule in rules:
            lint.rule(rule, self.book, guests=self.guests)
        return {op: self._plan(op, guards, rules) for op in OPERATIONS}

    def connect(self) -> ConnectPlan:
        """The `connect` block, or the one that lets every identified user in."""
        node = declare.single(statements.Connect, self.ground.nodes, self.book)
        guards = self.ground.guards
        if node is None:
            return ConnectPlan(plan=self._plan("connect", guards, [], _DEFAULT))
        block = Block(id=lambda _, rule: f"connect/{rule}", types=self.ground.types, lets=self.ground.lets, guards=_known(guards))
        rules = self.rules.check([c for c in node.clauses if isinstance(c, obligations.Allow)], lambda _: ["connect"], block)
        where = frozenset(("connect",))
        scope = Scope(where=where, types=self.ground.types, lets=self.ground.lets)
        channels = tuple(
            value(c.channel, self.book, scope, block.known(where), STRING) for c in node.clauses if isinstance(c, clauses.Subscribe)
        )
        data = declare.single(clauses.Assign, node.clauses, self.book)
        expire = declare.single(obligations.Expire, node.clauses, self.book)
        self._renewable(rules, lasting=expire is None)
        return ConnectPlan(
            plan=self._plan("connect", guards, rules),
            channels=channels,
            data=value(data.value, self.book, scope, block.known(where)) if data else None,
            expire_ms=expire.duration.ms if expire else None,
            jitter=expire.jitter.value if expire and expire.jitter else 0,
        )

    def _renewable(self, rules: Iterable[Checked], *, lasting: bool) -> None:
        for rule in rules:
            if rule.plan.looks and not lasting:
                message = "this rule reads the connect data, which a refresh does not carry: such connections cannot be renewed"
                self.book.find("unrenewable-connect", rule.node.at, message, "read headers or meta, or leave expire out")

    def rpcs(self, remotes: Iterable[str]) -> Mapping[str, RpcPlan]:
        """The `rpc` blocks by method."""
        nodes = self.ground.all(statements.Rpc)
        self.ground.once((n.method for n in nodes), "rpc")
        return {node.method.value: self._rpc(node, remotes) for node in nodes}

    def _rpc(self, node: statements.Rpc, remotes: Iterable[str]) -> RpcPlan:
        method = node.method.value
        lets, guards = self.ground.block(node.statements, self.ground.types, "")
        block = Block(id=lambda _, rule: f"rpc/{method}/{rule}", types=self.ground.types, lets=lets, guards=_known(guards))
        rules = self.rules.check([s for s in node.statements if isinstance(s, obligations.Allow)], lambda _: ["rpc"], block)
        answers = [s for s in node.statements if isinstance(s, clauses.Forward | clauses.Answer)]
        scope = Scope(where=frozenset(("rpc",)), types=self.ground.types, lets=lets)
        answer = self._answer(answers[0], scope, block, remotes) if answers else AnswerPlan(kind="value")
        return RpcPlan(plan=self._plan("rpc", guards, rules), answer=answer)

    def _answer(self, node: clauses.Forward | clauses.Answer, scope: Scope, block: Block, remotes: Iterable[str]) -> AnswerPlan:
        if isinstance(node, clauses.Forward):
            declare.known(node.http, remotes, "http", self.book)
            return AnswerPlan(kind="forward", remote=node.http.text, path=node.path.value)
        known = block.known(scope.where)
        if node.kind == "value":
            return AnswerPlan(kind="value", value=value(node.value, self.book, scope, known))
        channel = value(node.value, self.book, scope, known, STRING)
        return AnswerPlan(kind=node.kind, value=channel, limit=node.limit.value if node.limit else None)

    def services(self) -> tuple[Mapping[str, Service], Mapping[str, Mapping[str, Plan]]]:
        """The `service` blocks and what each may do, by method."""
        nodes = self.ground.all(statements.Service)
        declare.unique([n.name for n in nodes], self.book, "service")
        services = {n.name.text: self._service(n) for n in nodes}
        return services, {n.name.text: self._methods(n) for n in nodes}

    def _service(self, node: statements.Service) -> Service:
        key = declare.single(clauses.Key, node.clauses, self.book)
        delivery = declare.single(clauses.Delivery, node.clauses, self.book)
        if key is None:
            self.book.find("syntax", node.name.at, f'the service "{node.name.text}" has no key', "write key env NAME;")
        return Service(
            name=node.name.text,
            key=declare.variable(key.value, self.book) if key else Variable(name=""),
            delivery=delivery.mode if delivery else "direct",
        )

    def _methods(self, node: statements.Service) -> Mapping[str, Plan]:
        name = node.name.text

        def id_(operation: str, rule: str) -> str:
            return f"service/{name}/{operation.removeprefix('service ')}/{rule}"

        block = Block(id=id_, types={}, lets=self.ground.lets)
        allows = [c for c in node.clauses if isinstance(c, obligations.Allow)]
        rules = self.rules.check(allows, lambda allow: [f"service {op}" for op in operations(allow.operations, METHODS, self.book)], block)
        return {method: Plan(rules=_rules(f"service {method}", rules)) for method in METHODS}

    def _plan(self, operation: str, guards: Sequence[Guard], rules: Iterable[Checked], *more: RulePlan) -> Plan:
        """The plan of an operation; blocks without denies of their own share those of the top level."""
        top = len(self.ground.guards)
        if operation not in self._common:
            self._common[operation] = _denies(operation, guards[:top])
        own = _denies(operation, guards[top:])
        common = self._common[operation]
        return Plan(denies=(*common, *own) if own else common, rules=(*_rules(operation, rules), *more))


def _known(guards: Iterable[Guard]) -> tuple[tuple[frozenset[str], frozenset[tuple[str, tuple[object, ...]]]], ...]:
    return tuple((g.operations, g.known) for g in guards if g.known)


def _denies(operation: str, guards: Iterable[Guard]) -> tuple[DenyPlan, ...]:
    return tuple(guard.plan for guard in guards if operation in guard.operations)


def _rules(operation: str, rules: Iterable[Checked]) -> tuple[RulePlan, ...]:
    return tuple(rule.plan for rule in rules if rule.operation == operation)
