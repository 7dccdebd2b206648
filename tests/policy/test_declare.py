"""What a policy says about where facts come from."""

import pytest

from proxy.policy.declared import HttpSource
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.policy.reading.format import format_text
from proxy.policy.types import BOOL, INT, STRING

HEAD = "language 1;\ndatabase main { url env MAIN; }\nhttp app { base env APP; }\n"
USE = '\nchannel "a:{b}" { allow subscribe when f(vars.b) == null; }\n'


def loaded(text: str) -> Policy:
    policy = load({"a.policy": text.encode()}).policy
    assert policy is not None
    return policy


def errors(text: str) -> list[tuple[str, int, str]]:
    return [(each.id, each.at.column, each.message) for each in load({"a.policy": text.encode()}).findings if each.severity == "error"]


def fact(clauses: str) -> str:
    return f"{HEAD}fact f(uid: string) -> any {{ {clauses} timeout 1s; }}{USE}"


SQL = 'sql main "select 1 where :uid is null";'


@pytest.mark.parametrize(("clause", "most"), [("", 1), ("batch 2;", 2), ("batch 500;", 500)])
def test_a_batch_says_for_how_many_keys_one_query_asks(clause: str, most: int) -> None:
    assert loaded(fact(SQL + clause)).facts["f"].batch == most


@pytest.mark.parametrize("clause", ["batch 0;", "batch 1;", "batch 501;"])
def test_a_batch_is_2_to_500(clause: str) -> None:
    assert errors(fact(f"{clause} {SQL}")) == [("bad-fact", 36, "one query asks for 2 to 500 keys")]


@pytest.mark.parametrize("source", ['http app GET "/{uid}";', 'python "a:b";'])
def test_only_sql_asks_for_many_keys(source: str) -> None:
    assert errors(fact(f"batch 2; {source}")) == [("bad-fact", 30, "only sql can ask for many keys at once")]


def test_a_batch_stands_once_and_is_a_number() -> None:
    assert errors(fact(f"batch 2; batch 3; {SQL}")) == [("duplicate-name", 39, "this stands twice")]
    assert [id_ for id_, *_ in errors(fact(f"{SQL} batch many;"))] == ["syntax"]


def test_the_types_of_parameters_are_known() -> None:
    query = 'sql main "select 1 where :a = :b or :c";'
    text = f'{HEAD}fact f(a: int, b: string, c: bool) -> any {{ {query} timeout 1s; }}\nconnect {{ allow when f(1, "", true) == null; }}'
    assert loaded(text).facts["f"].takes == (INT, STRING, BOOL)


def test_a_database_may_listen() -> None:
    assert loaded(HEAD).databases["main"].listen is None
    assert loaded('language 1; database main { url env MAIN; listen "changes"; }').databases["main"].listen == "changes"


@pytest.mark.parametrize("name", ["", "x" * 64, "ü" * 32])
def test_the_name_of_what_is_listened_to_is_one_of_postgresql(name: str) -> None:
    assert errors(f'language 1; database main {{ url env MAIN; listen "{name}"; }}') == [
        ("wrong-type", 43, "the name of a channel has 1 to 63 bytes")
    ]
    assert errors(f'language 1; database main {{ url env MAIN; listen "{name[1:] or "x"}"; }}') == []


def test_the_formatter_keeps_both() -> None:
    text = 'language 1;\ndatabase main {url env MAIN ; listen   "changes";}\nfact f() -> int { sql main "select 1"; batch   64 ; }\n'
    wanted = 'language 1;\ndatabase main { url env MAIN; listen "changes"; }\nfact f() -> int { sql main "select 1"; batch 64; }\n'
    assert format_text("a.policy", text) == wanted
    assert format_text("a.policy", wanted) == wanted


def test_batch_and_listen_are_names_everywhere_else() -> None:
    assert loaded("language 1; let batch = 1; let listen = batch; connect { allow when listen == 1; }").facts == {}


@pytest.mark.parametrize("path", ["/", "/{uid}", "/a/{uid}/b?c={uid}&d=%20", "/a-b_c~d.e/{uid};x=1:2@,!$'()*+", "/a//{uid}"])
def test_a_path_of_an_address(path: str) -> None:
    source = f'http app GET "{path}";'
    found = [id_ for id_, *_ in errors(fact(source))]
    assert found == ([] if "{uid}" in path else ["bad-fact"])


@pytest.mark.parametrize(
    "path", ["{uid}", "//evil.example/{uid}", "/{uid}#x", "/a b/{uid}", "/ü/{uid}", "/%2/{uid}", "/{uid}\\\\", "/[{uid}]", ""]
)
def test_no_path_of_an_address(path: str) -> None:
    found = errors(fact(f'http app GET "{path}";'))
    assert ("bad-fact", 43, "this is no path of an address") in found


@pytest.mark.parametrize("pointer", ["", "/", "/a/0", "/a~1b/~0", "//", "/ü"])
def test_a_pointer(pointer: str) -> None:
    source = loaded(fact(f'http app GET "/{{uid}}" pick "{pointer}";')).facts["f"].source
    assert source == HttpSource(remote="app", path="/{uid}", pick=pointer)


@pytest.mark.parametrize("pointer", ["a", "a/b", "/~", "/~2", "/a~"])
def test_no_pointer(pointer: str) -> None:
    assert errors(fact(f'http app GET "/{{uid}}" pick "{pointer}";')) == [("bad-fact", 57, f'"{pointer}" is no JSON pointer')]
