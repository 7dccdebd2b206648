"""Facts that fixtures give, for commands that work without a service."""

from proxy.policy.decision import Known, Lost
from proxy.review.fixtures import Fixtures, read
from tests.policy.policies import policy

RULES = policy(
    """
    fact account(uid: string) -> { suspended: bool } { python "app:account"; timeout 50ms; }
    fact boss(uid: string) -> string? { python "app:boss"; timeout 50ms; }
    channel "c" { allow publish when !account(user).suspended && boss(user) == null; }
    """
)
GOOD = 'language 1;\nfixture account("%s") = {"suspended": %s};\n'


def found(**texts: str | bytes) -> tuple[Fixtures, list[str]]:
    files = {f"{name}.test.policy": text if isinstance(text, bytes) else text.encode() for name, text in texts.items()}
    fixtures, findings = read(files, RULES)
    return fixtures, [f"{finding.id} {finding.at.file}:{finding.at.line}" for finding in findings]


def test_the_fixtures_of_all_files_count_and_nothing_else_in_them() -> None:
    test = 'test "t" { as "1" { allow publish "c"; } }\n'
    fixtures, findings = found(b=GOOD % ("2", "true"), a=GOOD % ("1", "false") + test)
    assert findings == []
    assert fixtures.values == {("account", "1"): {"suspended": False}, ("account", "2"): {"suspended": True}}
    assert fixtures.get(("account", "2")) == Known(value={"suspended": True})
    assert fixtures.get(("account", "3")) == Lost(why="there is no fixture")
    assert fixtures.get(("boss", "3")) == Known(value=None)
    assert fixtures.without("boss").get(("boss", "3")) == Lost(why="the test makes it fail")


def test_a_fact_stands_once_in_all_files() -> None:
    fixtures, findings = found(a=GOOD % ("1", "false"), b=GOOD % ("1", "true"))
    assert findings == ["duplicate-name b.test.policy:2"]
    assert fixtures.values == {("account", "1"): {"suspended": True}}


def test_files_that_cannot_be_read_have_findings_and_the_others_count() -> None:
    fixtures, findings = found(a="language 1;\nfixture", b=b"\xff", c=GOOD % ("1", "false"), d='language 1;\nfixture acount("1") = 1;\n')
    assert [finding.partition(" ")[2] for finding in findings] == ["a.test.policy:2", "b.test.policy:1", "d.test.policy:2"]
    assert fixtures.values == {("account", "1"): {"suspended": False}}


def test_what_is_wrong_through_and_through_is_given_up() -> None:
    fixtures, findings = found(a="language 1;\n" + 'fixture nothing("1") = 1;\n' * 10_000)
    assert [*dict.fromkeys(finding.partition(" ")[0] for finding in findings)] == ["unknown-name", "too-large"]
    assert len(findings) < 1000
    assert fixtures.values == {}
