import pytest

from proxy.policy.patterns import parse
from proxy.review.doctor.needs import namespace, needs
from tests.review.doctor.scene import changed, found, good, ids, policy


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("chat:{room}", "chat"),
        ("$chat:{room}", "chat"),
        ("a:b:{x}", "a"),
        ("inbox#{uid}", ""),
        ("all", ""),
        ("{x}#{y}", ""),
        ("{x:int}", ""),
        (":x", ""),
        ("{x}:a", None),
        ("a{x}:b", None),
        ("{x*}", None),
        ("a{x*}", None),
        ("a:{x*}", "a"),
    ],
)
def test_the_namespace_of_a_pattern(pattern: str, name: str | None) -> None:
    assert namespace(parse(pattern), ":") == name


@pytest.mark.parametrize(("pattern", "name"), [("a/b", "a"), ("a{x}", None), ("a:b", "")])
def test_another_boundary_ends_namespaces_elsewhere(pattern: str, name: str | None) -> None:
    assert namespace(parse(pattern), "/") == name


@pytest.mark.parametrize(
    ("rules", "all_of_them"),
    [
        ("allow subscribe, presence when meta.a;", True),
        ("allow subscribe when meta.a; allow presence when meta.a;", False),
        ("allow subscribe when meta.a; allow presence;", True),
        ("allow subscribe;", False),
        ("allow publish;", True),
        ("allow presence; deny d on presence when meta.a;", True),
        ("allow subscribe, presence; deny d on presence when meta.a;", False),
        ("allow subscribe, presence; deny d when meta.a;", True),
        ("allow subscribe, presence when meta.a; allow subscribe when !meta.a;", False),
        ("allow subscribe; allow presence when meta.a;", False),
    ],
)
def test_subscribers_who_may_not_see_who_is_there(rules: str, *, all_of_them: bool) -> None:
    space = needs(policy(f'language 1;\nmeta {{ a: bool }}\nchannel "a:{{b}}" {{ {rules} }}')).space("a")
    assert space.wider("presence") == ("" if all_of_them else "a:{b}")


def test_facts_that_wait_for_each_other_take_longer() -> None:
    text = """language 1;
fact a(x: string) -> string { python "m:f"; timeout 100ms; cache 1s; }
fact b(x: string) -> bool { python "m:f"; timeout 300ms; cache 1s; }
channel "c:{d}" { allow subscribe when b(a(user)); allow publish when a(user) == "x"; }"""
    found = needs(policy(text))
    assert (found.slowest_ms["subscribe"], found.slowest_ms["sub_refresh"], found.slowest_ms["publish"]) == (600, 600, 100)


def test_patterns_of_any_namespace_belong_to_each() -> None:
    text = 'language 1;\nchannel "{x*}" { allow subscribe; }'
    wanted = needs(policy(text))
    assert [pattern for pattern, _ in wanted.floating] == ["{x*}"]
    assert wanted.spaces == {}
    assert [pattern for pattern, _ in wanted.space("chat").patterns] == ["{x*}"]
    config = changed(good(6), {"channel.namespaces[0].publish_proxy_enabled": False})
    wider = ["presence-wider", "recovery-wider", "history-wider"]
    assert {id_ for id_, _ in ids(found(config, text))} <= {*wider, "history-missing", "presence-missing"}


def test_headers_of_every_kind_of_identity_are_needed() -> None:
    text = """language 1;
http app { base env APP; }
identity one {
  jwt from cookie "session", data "token", header "x-a";
  issuer "i"; audience "a"; algorithms HS256; keys env K; user = claims.sub;
}
identity two { http app GET "/me" forward header "x-b"; user = reply.id; }
identity three { guest; }
channel "a:{b}" { allow subscribe; }"""
    wanted = needs(policy(text))
    assert wanted.headers == ("cookie", "x-a", "x-b")
    assert wanted.guests


def test_an_end_of_an_identity_is_an_end_of_the_connection() -> None:
    identity = """identity i { jwt from header "a"; issuer "i"; audience "a"; algorithms HS256; keys env K; user = claims.sub; %s }"""
    for clause, lease in (("expire = claims.exp;", True), ("", False)):
        assert needs(policy(f'language 1;\n{identity % clause}\nchannel "a:{{b}}" {{ allow subscribe; }}')).lease is lease


def test_meta_is_needed_where_a_rule_reads_it() -> None:
    text = """language 1;
meta { a: bool }
connect { allow; subscribe "a:" + user; data = {"a": meta.a}; }
channel "a:{b}" { allow subscribe when meta.a; allow publish; }
rpc "r" { allow; answer = meta.a; }"""
    assert needs(policy(text)).meta == {"subscribe", "sub_refresh", "connect", "refresh", "rpc"}
