"""A policy with something of everything, and its tests."""

from collections.abc import Mapping

from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.review.trials import Failure, Report, Tried, run

POLICY = """
identity guest { guest; }
meta { role?: string }
fact account(uid: string) -> { suspended: bool, level?: int }? { python "app:account"; timeout 50ms; }
fact price(n: int, open: bool) -> double { python "app:price"; timeout 50ms; }

let me = account(user);
deny suspended when me != null && me.suspended;
deny closed on publish when timestamp_ms > 5;

connect {
  allow as browsers when headers["origin"] == "https://app";
  allow as old when version == "0" && data.x == 1;
  subscribe "own#" + user;
  data = {"price": price(1, true)};
}
channel "own#{uid}" { allow subscribe, history when vars.uid == user; }
channel "doc-{d}" {
  let strong = has(meta.role) && meta.role == "editor";
  deny locked on publish when vars.d == "0";
  allow subscribe as labelled when labels["team"] == "red" info = {"team": labels["team"]} limit 1/1s per client;
  allow publish as editors when strong && !(data.kind == "bot") schema "schemas/message.json" stamp author = user, at = timestamp_ms;
  allow publish as anything when data.kind == "any";
  allow map_publish when key == "a" && (data == null || data.n < 3);
  allow map_remove as sure when transport == "websocket";
}
channel "open-{x}" { allow publish when vars.x == "1" stamp author = user; allow publish limit 1/1s; }
rpc "add" { allow when data.n > 0 ? user == "1" : true; answer = {"n": data.n + 1}; }
rpc "sum" { allow; answer = data.a; }
service shop {
  key env K;
  allow publish, broadcast on "own#{uid}" when tags["t"] == "x" stamp by = service, how = method;
  allow info, disconnect, rpc;
}
"""

SCHEMA = '{"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}}'
FLAG = '{"type": "object", "required": ["flag"], "properties": {"flag": {"type": "boolean"}}}'


def files(tests: str, policy: str = POLICY) -> dict[str, bytes]:
    return {
        "p.policy": f"language 1;{policy}".encode(),
        "t.test.policy": f"language 1;\n{tests}".encode(),
        "schemas/message.json": SCHEMA.encode(),
        "schemas/flag.json": FLAG.encode(),
    }


def usable(given: Mapping[str, bytes]) -> Policy:
    loaded = load(given)
    assert loaded.policy is not None, [str(finding) for finding in loaded.findings]
    return loaded.policy


def tried(tests: str, policy: str = POLICY) -> Report:
    """The report on the tests of one file, whose first line is `language 1;`."""
    given = files(tests, policy)
    return run(usable(given), given)


def expecting(*expectations: str, user: str = "1", policy: str = POLICY) -> tuple[Failure, ...]:
    """The expectations of a user that were not met."""
    return failures(tried(f'test "t" {{ as "{user}" {{ {" ".join(expectations)} }} }}', policy))


def failures(report: Report) -> tuple[Failure, ...]:
    assert report.findings == ()
    (result,) = report.results
    assert isinstance(result, Tried)
    return result.failures


def faults(tests: str) -> list[str]:
    """`id line:column message (hint)` of each finding."""
    return [f"{f.id} {f.at.line}:{f.at.column} {f.message}{f' ({f.hint})' if f.hint else ''}" for f in tried(tests).findings]
