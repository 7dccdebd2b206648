"""Invariants: how they read, whom they are about, and that no decision knows of them."""

import pytest

from proxy.policy.checking.plan import Claim
from proxy.policy.decision import Request
from proxy.policy.names import METHODS
from proxy.policy.reading.format import format_text
from tests.policy.policies import known, placed, policy, suggestions

GROUND = """
identity g { guest; }
database main { url env D; }
fact account(uid: string) -> { suspended: bool }? { sql main "select suspended from accounts where id = :uid"; timeout 1s; }
let me = account(user);
deny unknown when me == null;
channel "c:{x}" { allow subscribe, publish; }
service orders { key env K; allow publish on "c:{x}"; }
service news { key env N; }
"""


def claim(text: str) -> Claim:
    (found,) = policy(GROUND + text).claims
    return found


def test_an_invariant_says_where_it_stands_and_what_it_says() -> None:
    found = claim('\n  never allow subscribe, publish on "c:{x}" for users, orders when vars.x == "1";')
    assert found.text == 'never allow subscribe, publish on "c:{x}" for users, orders'
    assert found.at == "p.policy:12"
    assert claim('never allow publish on "c:{x}";').text == 'never allow publish on "c:{x}"'
    assert found.pattern.text == "c:{x}"
    assert found.when is not None


@pytest.mark.parametrize(
    ("text", "people", "guests", "services"),
    [
        ('always deny publish on "c:{x}" for users;', ("publish",), False, {}),
        ('always deny publish on "c:{x}" for guests;', ("publish",), True, {}),
        ('always deny publish on "c:{x}" for guests, users;', ("publish",), False, {}),
        ('always deny publish on "c:{x}" for news;', (), False, {"news": ("publish", "broadcast")}),
        ('always deny presence, info on "c:{x}" for services;', (), False, dict.fromkeys(("orders", "news"), ("presence", "info"))),
        ('always deny presence, info on "c:{x}" for users, news;', ("presence",), False, {"news": ("presence", "info")}),
        ('never allow presence on "c:{x}";', ("presence",), False, dict.fromkeys(("orders", "news"), ("presence",))),
        ('never allow info on "c:{x}";', (), False, dict.fromkeys(("orders", "news"), ("info",))),
        ('never allow presence on "c:{x}" when vars.x == "";', ("presence",), False, dict.fromkeys(("orders", "news"), ("presence",))),
        ('never allow presence on "c:{x}" when me.suspended;', ("presence",), False, {}),
        ('never allow info on "c:{x}" when service == "news";', (), False, dict.fromkeys(("orders", "news"), ("info",))),
        (f'never allow {", ".join(METHODS)} on "c:{{x}}" for news when tags["a"] == "b";', (), False, {"news": METHODS}),
    ],
)
def test_an_invariant_is_about_whom_it_names_and_about_everybody_whom_its_condition_fits(
    text: str, people: tuple[str, ...], *, guests: bool, services: dict[str, tuple[str, ...]]
) -> None:
    found = claim(text)
    assert (found.operations, found.guests, found.services) == (people, guests, services)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("unknown-name", 'always deny publish on "c:{x}" for §user;'),
        ("duplicate-name", 'always deny publish on "c:{x}" for users, §users;'),
        ("unknown-operation", 'always deny §pubish on "c:{x}" for users;'),
        ("unknown-operation", 'always deny §info on "c:{x}" for users;'),
        ("unknown-operation", 'always deny §nothing on "c:{x}" for services;'),
        ("unknown-operation", 'always deny §connect on "c:{x}" for users;'),
        ("duplicate-name", 'always deny publish, §publish on "c:{x}" for users;'),
        ("bad-pattern", 'never allow publish on §"c:{x";'),
        ("duplicate-name", 'never allow publish on §"c:{x},{x}";'),
        ("unknown-name", 'never allow publish on "c:{x}" when vars.§y == "1";'),
        ("unknown-name", 'never allow publish on "c:{x}" when §mine;'),
        ("unknown-name", 'never allow presence on "c:{x}" when §data == 1;'),
        ("unknown-name", 'never allow publish on "c:{x}" for users, orders when §user == "1";'),
        ("wrong-type", 'never allow publish on "c:{x}" when §vars.x == 1;'),
        ("maybe-null", 'never allow publish on "c:{x}" when §account(vars.x).suspended;'),
        ("unknown-operation", 'always deny §shared_poll_publish on "c:{x}" for users;'),
        ("unknown-operation", 'always deny §map_publishes on "c:{x}" for services;'),
        ("syntax", 'always deny publish on "c:{x}"§;'),
        ("syntax", 'never §deny publish on "c:{x}";'),
        ("syntax", 'always §allow publish on "c:{x}" for users;'),
    ],
)
def test_a_mistake_in_an_invariant_is_found_at_its_place(wanted: str, text: str) -> None:
    assert wanted in placed(GROUND + text)


def test_whoever_is_meant_by_a_misspelled_name_is_suggested() -> None:
    assert 'did you mean "users"?' in suggestions(GROUND + 'always deny publish on "c:{x}" for user;')
    assert "write users, guests, services" in suggestions(GROUND + 'always deny publish on "c:{x}" for x;')


def test_what_a_deny_of_just_this_operation_disproves_is_known() -> None:
    text = GROUND.replace("deny unknown when", "deny unknown on publish when")
    assert placed(text + 'never allow publish on "c:{x}" for users when §me.suspended;').count("maybe-null") == 0
    assert placed(text + 'never allow publish, subscribe on "c:{x}" for users when §me.suspended;').count("maybe-null") == 1


def test_what_denies_disprove_is_known_to_invariants() -> None:
    assert claim('never allow publish on "c:{x}" for users when me.suspended;').when is not None


def test_an_invariant_decides_nothing() -> None:
    loaded = policy(GROUND + 'always deny subscribe on "c:{x}" for users, guests, services;')
    request = Request(op="subscribe", user="1", channel="c:1")
    found = loaded.decide(request, known({("account", "1"): {"suspended": True}}))
    assert getattr(found, "rule", None) == "c:{x}/subscribe/1"


def test_the_words_of_invariants_are_names_elsewhere() -> None:
    assert policy('let always = 1; let never = always; channel "for" { allow subscribe when never == 1; }').claims == ()


def test_an_invariant_is_laid_out_like_a_rule() -> None:
    rough = "language 1;\nnever  allow a ,b on  'c'\nfor users when x and ! y ;// why\nalways deny a on \"c\" for  users,guests ;\n"
    smooth = 'language 1;\nnever allow a, b on "c" for users when x && !y;  // why\nalways deny a on "c" for users, guests;\n'
    assert format_text("a.policy", rough) == smooth
    assert format_text("a.policy", smooth) == smooth
