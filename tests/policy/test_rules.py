"""What the rules of a block mean, and what is found in them."""

import pytest

from proxy.policy.decision import Allow, Deny, NeedFacts, Reading, Request
from proxy.policy.declared import Variable
from proxy.policy.load import load
from tests.policy.policies import Facts, placed, policy, suggestions

NUMBERED = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'


def test_a_schema_keeps_only_those_operations_out_that_have_a_payload() -> None:
    rules = policy('channel "c" { allow subscribe, presence, history schema "schemas/n.json"; }', n=NUMBERED)
    refused = rules.decide(Request(op="subscribe", user="ann", channel="c"), Facts())
    assert isinstance(refused, Deny)
    assert refused.reason == "schema"
    for op in ("presence", "history"):
        assert isinstance(rules.decide(Request(op=op, user="ann", channel="c"), Facts()), Allow)


def test_a_lifetime_keeps_its_jitter() -> None:
    for written, jitter in (("expire 5m jitter 7%", 7), ("expire 5m", 0)):
        found = policy(f'channel "c" {{ allow subscribe {written}; }}').decide(Request(op="subscribe", user="ann", channel="c"), Facts())
        assert isinstance(found, Allow)
        assert (found.expire_ms, found.jitter) == (300_000, jitter)


def test_variables_of_a_service_rule_are_those_of_its_pattern() -> None:
    assert placed('service s { key env K; allow publish on "c:{n:int}" when vars.n > 1; }') == []
    assert placed('service s { key env K; allow publish on "c:{n:int}" when vars.§m > 1; }') == ["unknown-name"]
    assert placed('service s { key env K; allow publish on "c:{n:int}" when §vars.n == "1"; }') == ["wrong-type"]
    assert placed('service s { key env K; allow publish when §vars.n == "1"; }') == ["unknown-name"]


def test_a_schema_that_is_broken_is_complained_of_once() -> None:
    text = 'allow publish when user == "a" schema §"schemas/n.json"; allow publish when user == "b" schema "schemas/n.json";'
    assert [f for f in placed(f'channel "c" {{ {text} }}', n="{") if f.startswith("bad-schema")] == ["bad-schema"]


@pytest.mark.parametrize("name", ["n.json", "schemas/n.txt", "p.policy"])
def test_a_schema_stands_in_its_folder_and_is_named_for_what_it_is(name: str) -> None:
    text = f'language 1; channel "c" {{ allow publish when user == "a" schema "{name}"; }}'
    loaded = load({"p.policy": text.encode(), "n.json": b"{}", "schemas/n.txt": b"{}"})
    assert [(f.id, f.at.column) for f in loaded.findings if f.severity == "error"] == [("bad-schema", 65)]
    assert loaded.policy is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('channel "c" { allow publish schema "schemas/nate.json"; }', 'did you mean "schemas/note.json"?'),
        ('channel "c" { allow publish schema "elsewhere"; }', "put it into schemas/"),
    ],
)
def test_a_mistake_in_a_rule_is_answered_with_a_way_out(text: str, hint: str) -> None:
    assert hint in suggestions(text, note="{}")


SUBJECT = (
    'fact f(u: string) -> bool { python "m:f"; timeout 50ms; } '
    'fact g(u: string) -> bool { python "m:g"; timeout 50ms; invalidate on "x"; } '
)
FIRM = 'schema "schemas/n.json" limit 10/1s'
GUEST = "identity g { guest; } "


def of(id_: str, text: str) -> list[str]:
    """The findings of one id."""
    return [f for f in placed(text, n=NUMBERED) if f.split()[0] == id_]


@pytest.mark.parametrize(
    ("first", "hidden"),
    [
        ("allow subscribe;", True),
        ("allow publish, subscribe skip_history;", True),
        ("allow publish;", False),
        ('allow subscribe when user == "b";', False),
        ('allow subscribe schema "schemas/n.json";', False),
        ("allow subscribe info = user;", False),
    ],
)
def test_a_rule_behind_one_that_always_holds_is_found(first: str, hidden: bool) -> None:  # noqa: FBT001 - the expectation
    found = of("unreachable-rule", f'channel "c" {{ {first} §allow subscribe when user == "a"; }}')
    assert found == (["unreachable-rule"] if hidden else [])


@pytest.mark.parametrize(
    ("first", "second", "hidden"),
    [
        ('on "a:{x}"', 'on "b:{x}"', False),
        ('on "a:{x}"', 'on "a:{x}"', True),
        ("", 'on "a:{x}"', True),
        ('on "a:{x}"', "", False),
    ],
)
def test_rules_of_a_service_hide_each_other_by_pattern(first: str, second: str, hidden: bool) -> None:  # noqa: FBT001 - the expectation
    found = of("unreachable-rule", f"service s {{ key env K; allow publish {first}; §allow publish {second}; }}")
    assert found == (["unreachable-rule"] if hidden else [])


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("allow subscribe when f(user);", True),
        ("allow subscribe when g(user);", False),
        ("allow subscribe when f(user) expire 5m;", False),
        ("allow subscribe;", False),
        ("allow presence when f(user);", False),
    ],
)
def test_a_subscription_that_nothing_ends_is_found(rule: str, found: bool) -> None:  # noqa: FBT001 - the expectation
    assert of("unbounded-grant", f'{SUBJECT}channel "c" {{ §{rule} }}') == (["unbounded-grant"] if found else [])


@pytest.mark.parametrize(
    ("guests", "condition", "found"),
    [
        (GUEST, 'when channel == "c"', True),
        (GUEST, "", True),
        (GUEST, 'when user != ""', False),
        (GUEST, "when meta.a == 1", False),
        (GUEST, "when f(channel)", False),
        (GUEST, "when f(user)", False),
        ("", 'when channel == "c"', False),
        ("", "", False),
    ],
)
@pytest.mark.parametrize("op", ["publish", "map_publish"])
def test_a_rule_by_which_a_guest_may_write_is_found(op: str, guests: str, condition: str, found: bool) -> None:  # noqa: FBT001 - the expectation
    assert of("guest-may-publish", f'{SUBJECT}{guests}channel "c" {{ §allow {op} {condition} {FIRM}; }}') == (
        ["guest-may-publish"] if found else []
    )


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("meta.a == 1", True),
        ('user == "a"', False),
        ('meta.a == 1 && user == "a"', False),
        ("meta.a == 1 && f(user)", False),
        ("true", False),
    ],
)
def test_a_deny_that_reads_nothing_but_meta_is_found(condition: str, found: bool) -> None:  # noqa: FBT001 - the expectation
    assert of("deny-reads-only-meta", f"{SUBJECT}§deny d when {condition};") == (["deny-reads-only-meta"] if found else [])


def test_a_deny_that_looks_at_a_payload_of_two_readings_denies() -> None:
    def decided(deny: str) -> str:
        rules = policy(f'{deny} channel "c" {{ allow publish; }}')
        found = rules.decide(Request(op="publish", user="ann", channel="c", data={"a": 1}, ambiguous=True), Facts())
        assert not isinstance(found, NeedFacts)
        return found.reason

    assert decided("deny d on publish when data.a == 2;") == "schema"
    assert decided('deny d on publish when user == "bob";') == "allowed"
    assert decided("") == "allowed"


def test_a_connection_keeps_its_jitter() -> None:
    for written, jitter in (("expire 1h jitter 10%;", 10), ("expire 1h;", 0)):
        found = policy(f"connect {{ allow; {written} }}").decide(Request(op="connect", user="ann"), Facts())
        assert isinstance(found, Allow)
        assert (found.expire_ms, found.jitter) == (3_600_000, jitter)


def test_an_answer_from_the_history_has_the_limit_that_is_written() -> None:
    rules = policy(
        'channel "c" { allow history, presence; } rpc "h" { allow; answer history "c" limit 7; } rpc "p" { allow; answer presence "c"; }'
    )
    for method, answer in (("h", Reading(kind="history", channel="c", limit=7)), ("p", Reading(kind="presence", channel="c", limit=None))):
        found = rules.decide(Request(op="rpc", user="ann", method=method), Facts())
        assert isinstance(found, Allow)
        assert found.answer == answer


@pytest.mark.parametrize(("written", "mode"), [("", "direct"), ("delivery direct;", "direct"), ("delivery durable;", "durable")])
def test_a_service_delivers_as_it_says(written: str, mode: str) -> None:
    service = policy(f"service s {{ key env K; {written} }}").services["s"]
    assert (service.delivery, service.key) == (mode, Variable(name="K"))


@pytest.mark.parametrize(
    ("written", "mask", "sample"),
    [
        ("", (), 100.0),
        ("log { mask data.text, meta.roles; mask data.b; }", (("data", "text"), ("meta", "roles"), ("data", "b")), 100.0),
        ("log { sample allow 1.5%; }", (), 1.5),
    ],
)
def test_the_log_hides_and_keeps_what_the_policy_says(written: str, mask: tuple[tuple[str, ...], ...], sample: float) -> None:
    logging = policy(f'channel "c" {{ allow presence; }} {written}').logging
    assert (logging.mask, logging.sample) == (mask, sample)


@pytest.mark.parametrize(
    ("lifetime", "jitter", "chance", "until"),
    [
        (None, 0, 0.0, None),
        (60_000, 0, 0.5, 1_060),
        (60_000, 50, 0.5, 1_045),
        (60_000, 100, 0.25, 1_045),
        (60_000, 10, 0.0, 1_060),
        (60_000, 10, 1.0, 1_054),
        (60_000, 100, 1.0, 1_001),
        (999, 0, 0.0, 1_001),
        (3_000_000_000, 1, 1.0, 2_971_000),
    ],
)
def test_what_is_granted_ends_in_a_second_at_the_earliest(lifetime: int | None, jitter: int, chance: float, until: int | None) -> None:
    granted = Allow(rule="r", at="a:1", revision="", facts={}, expire_ms=lifetime, jitter=jitter)
    assert granted.until(1_000_500, lambda: chance) == until
