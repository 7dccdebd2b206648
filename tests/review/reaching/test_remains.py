"""What remains of a single condition, as it is printed."""

import pytest

from tests.review.reaching.asking import answered, lines

HEAD = """
meta { role?: string }
fact level(uid: string) -> int { python "a:b"; timeout 50ms; }
fact friend(uid: string) -> { name: string, old?: bool }? { python "a:b"; timeout 50ms; }
fact words(uid: string) -> list<string> { python "a:b"; timeout 50ms; }
fact number(uid: string) -> double { python "a:b"; timeout 50ms; }
fact thing(uid: string) -> any { python "a:b"; timeout 50ms; }
let mine = words(user);
"""
FACTS = {
    ("level", "u"): 3,
    ("friend", "u"): {"name": "v"},
    ("words", "u"): ["a" * 100_000] * 1000,
    ("number", "u"): 1e308,
    ("thing", "u"): 5,
}
DEEP = "words(user).all(b, words(user).all(c, a == b && b == c))"


def remains(condition: str, *, user: str | None = None) -> str:
    """What remains of the condition of a rule on the channel `x:7`; nothing where it never holds."""
    text = f'{HEAD}channel "x:{{y}}" {{ allow publish when {condition}; }}'
    (entrance,) = answered(text, "publish", "x:7", users=(user,) if user else (), facts=FACTS).entrances
    ways = lines(text, "publish", "x:7", users=(user,) if user else (), facts=FACTS)[2:] if entrance.reach.ways else []
    return ways[1].strip().removeprefix("if ") if ways else ""


@pytest.mark.parametrize(
    ("condition", "rest"),
    [
        ('vars.y == "7"', "anybody signed in"),
        ('vars.y == "8"', ""),
        ("user == vars.y", 'user == "7"'),
        ("vars.y == user", 'user == "7"'),
        ("vars.y != user", 'user != "7"'),
        ("vars.y == data.a && vars.y < user", 'data.a == "7" && "7" < user'),
        ('!(vars.y == "8")', "anybody signed in"),
        ("!(vars.y == user)", '!(user == "7")'),
        ('vars.y == "8" || user == "a"', 'user == "a"'),
        ('vars.y == "7" && user == "a"', 'user == "a"'),
        ('vars.y == "7" || user == "a"', "anybody signed in"),
        ('vars.y == "8" && user == "a"', ""),
        ('user == "a" && (vars.y == "7" && client == "c" || false)', 'user == "a" && client == "c"'),
        ('user == "a" && (vars.y == "7" && client == "c" && transport == "x")', 'user == "a" && client == "c" && transport == "x"'),
        ('!(vars.y == "7" || user == "a")', ""),
        ('(user == "a" || client == "c") && vars.y == "7"', 'user == "a" || client == "c"'),
        ('(vars.y == "7" ? user : "b") == "a"', 'user == "a"'),
        ('(vars.y == "7" ? user == "a" || user == "b" : true) && client == "c"', '(user == "a" || user == "b") && client == "c"'),
        ('user == "a" ? vars.y == "7" : vars.y == "8"', 'user == "a" ? true : false'),
        ('user == "a" ? client == "b" : client == "c"', 'user == "a" ? client == "b" : client == "c"'),
        ("data.list.all(e, e == vars.y)", 'data.list.all(e, e == "7")'),
        ("data.list.all(y, y == data.z)", "data.list.all(y, y == data.z)"),
        ("[vars.y, 'a'].exists(e, e == '7')".replace("'", '"'), "anybody signed in"),
        ("vars.y in data.list", '"7" in data.list'),
        ('user in ["a", vars.y]', 'user in ["a", "7"]'),
        ("data[vars.y] == 1", 'data["7"] == 1'),
        ("data == [user, vars.y]", 'data == [user, "7"]'),
        ('data == {"a": vars.y, "b": user}', 'data == {"a": "7", "b": user}'),
        ('data.x == {"a": [vars.y]}', 'data.x == {"a": ["7"]}'),
        ("size(vars.y + user) > 2", 'size("7" + user) > 2'),
        ("user.startsWith(vars.y)", 'user.startsWith("7")'),
        ("-data.n == int(vars.y)", "-data.n == 7"),
        ("has(data.a) && !has(meta.role)", "has(data.a) && !has(meta.role)"),
        ("data.a.b == (1 + 1)", "data.a.b == 2"),
        ("(data.a) == 1 + data.n * (data.m - 2)", "(data.a) == 1 + data.n * (data.m - 2)"),
    ],
)
def test_what_the_channel_settles_is_gone_and_the_rest_stays_as_it_is_written(condition: str, rest: str) -> None:
    assert remains(condition) == rest


@pytest.mark.parametrize(
    ("condition", "rest"),
    [
        ('int(vars.y + "x") == 1', ""),
        ("int(vars.y) / 0 == data.n", ""),
        ('data.n == 1 || int(vars.y + "x") == 1', "data.n == 1"),
        ('data.n == 1 && int(vars.y + "x") == 1', ""),
        ('!(int(vars.y + "x") == 1)', ""),
        ('!(data.n == int(vars.y + "x"))', ""),
        ('(int(vars.y + "x") == 1 ? true : data.n == 1)', ""),
        ('user == "a" ? int(vars.y + "x") == 1 : data.n == 1', 'user == "a" ? int(vars.y + "x") == 1 : data.n == 1'),
        ('[data.n, int(vars.y + "x")] == [1, 1]', ""),
        ('data.list.exists(e, e == int(vars.y + "x"))', 'data.list.exists(e, e == int(vars.y + "x"))'),
        ('(data.n == 1 || int(vars.y + "x") == 1 ? user == "a" : false)', 'data.n == 1 || int(vars.y + "x") == 1 ? user == "a" : false'),
    ],
)
def test_what_never_has_a_value_never_allows(condition: str, rest: str) -> None:
    assert remains(condition) == rest


@pytest.mark.parametrize(
    ("condition", "rest"),
    [
        ("level(user) > 2", "always"),
        ("level(user) > 3", ""),
        ("level(user) == data.n", "data.n == 3"),
        ("friend(user) != null && friend(user).name == vars.y", ""),
        ("friend(user) != null && friend(user).name == data.friend", 'data.friend == "v"'),
        ("friend(vars.y) != null", ""),
        ("friend(vars.y) != null || data.n == 1", ""),
        ("data.n == 1 || friend(vars.y) != null", "data.n == 1"),
        ("data.n == 1 && (data.m == 2 || friend(vars.y) != null)", "data.n == 1 && data.m == 2"),
        ("level(data.who) > 2", "level(data.who) > 2"),
        ("data.n == 1 || thing(user)", "data.n == 1"),
        ("data.n == thing(user)", "data.n == 5"),
        ("data.d == number(user) * 10.0", "data.d == 1e+308 * 10.0"),
        ("size(words(user)) == data.n", "data.n == 1000"),
    ],
)
def test_facts_of_a_user_count_and_lost_ones_never_allow(condition: str, rest: str) -> None:
    assert remains(condition, user="u") == rest


@pytest.mark.parametrize(
    ("condition", "rest"),
    [
        ("data.word in words(user)", 'data.word in words("u")'),
        ('mine.exists(w, w + "b" in mine)', 'mine.exists(w, w + "b" in mine)'),
    ],
)
def test_what_is_too_long_to_read_or_too_much_work_stays(condition: str, rest: str) -> None:
    assert remains(condition, user="u") == rest


@pytest.mark.parametrize(
    ("condition", "rest"),
    [
        ("level(user) > 2 && level(vars.y) > 2", 'level(user) > 2 && level("7") > 2'),
        ("friend(vars.y) != null && friend(vars.y).name == user", 'friend("7") != null && friend("7").name == user'),
    ],
)
def test_of_a_user_who_is_not_named_nothing_is_guessed(condition: str, rest: str) -> None:
    assert remains(condition) == rest


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ('vars.y == "7" && data.flag', "true && data.flag"),
        ('vars.y == "7" && has(data.flag)', "has(data.flag)"),
        ('vars.y == "7" && data.n == 1', "data.n == 1"),
        ('vars.y == "8" || data.n + data.m', "false || data.n + data.m"),
        ('vars.y == "8" && data.flag', "false"),
    ],
)
def test_a_value_that_must_be_a_bool_stays_one(value: str, rest: str) -> None:
    found = lines(f'channel "x:{{y}}" {{ allow subscribe info = {value} expire 5m; }}', "subscribe", "x:7")
    assert [each for each in found if "with info" in each] == [f"    with info = {rest}"]
