"""What is allowed but unwise: security findings and warnings about rules."""

from collections.abc import Iterable

from proxy.policy.checking.plan import Checked, RulePlan
from proxy.policy.checking.world import Binding, Book
from proxy.policy.declared import Fact
from proxy.policy.reading import obligations, statements

WRITES = ("publish", "map_publish")


def unreachable(rules: Iterable[Checked], book: Book) -> None:
    """Warns of rules that come after one that always holds."""
    settled: set[tuple[str, str]] = set()
    reached: set[int] = set()
    seen: dict[int, obligations.Allow] = {}
    for rule in rules:
        key = (rule.operation, rule.plan.pattern.text if rule.plan.pattern else "")
        seen[id(rule.node)] = rule.node
        if key not in settled and (rule.operation, "") not in settled:
            reached.add(id(rule.node))
        if always(rule.plan):
            settled.add(key)
    for identity, node in seen.items():
        if identity not in reached:
            book.find("unreachable-rule", node.at, "this rule never decides: one above it always holds")


def always(plan: RulePlan) -> bool:
    """Whether nothing can keep the rule from holding."""
    return plan.when is None and plan.schema is None and not plan.obligations.codes


def rule(checked: Checked, book: Book, *, guests: bool) -> None:
    """Security findings and warnings about one rule of a channel for one operation."""
    node, plan = checked.node, checked.plan
    if checked.operation in WRITES:
        _write(checked, book, guests=guests)
    if checked.operation == "subscribe" and plan.obligations.expire_ms is None:
        book.find("subscribe-without-expire", node.at, "a subscription lasts as long as its connection", "write expire 5m")
        facts = plan.when.uses.facts if plan.when else frozenset()
        for name in sorted(facts):
            if not book.facts[name].topics:
                message = f'nothing ends this subscription when the fact "{name}" changes'
                book.find("unbounded-grant", node.at, message, "write expire, or invalidate on … at the fact")


def _write(checked: Checked, book: Book, *, guests: bool) -> None:
    node, plan = checked.node, checked.plan
    if plan.schema is None:
        book.find("publish-without-schema", node.at, "any payload is accepted", 'write schema "schemas/….json"')
    if plan.when is None:
        book.find("open-publish", node.at, "everybody who may connect may write here", "write when …")
    if plan.obligations.limit is None:
        book.find("publish-without-limit", node.at, "nothing limits how much is written", "write limit 10/1s")
    uses = plan.when.uses if plan.when else None
    if guests and not (uses and (uses.facts or uses.names & {"user", "meta"})):
        book.find("guest-may-publish", node.at, "a guest may write here", 'write when user != ""')


def deny(node: statements.Deny, names: frozenset[str], facts: frozenset[str], book: Book) -> None:
    """A deny that knows only what was true at connect time."""
    if names == {"meta"} and not facts:
        book.find("deny-reads-only-meta", node.at, "meta is as old as the connection", "deny by a fact")


def unused(lets: Iterable[Binding], facts: Iterable[tuple[statements.Fact, Fact]], book: Book) -> None:
    """Lets and facts that nothing asks for."""
    for let in lets:
        if let.slot not in book.used_lets:
            book.find("unused-let", let.at, f'nothing uses "{let.name}"')
    for node, fact in facts:
        if fact.name not in book.used_facts:
            book.find("unused-fact", node.name.at, f'nothing asks for the fact "{fact.name}"')
