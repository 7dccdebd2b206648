"""Small policies for tests."""

from collections.abc import Mapping

from proxy.policy.decision import FactKey, Known, Lost
from proxy.policy.load import load
from proxy.policy.policy import Policy

ACCOUNT = (
    "fact account(uid: string) -> { roles: list<string>, suspended: bool, boss: string? }? "
    '{ python "app:account"; timeout 50ms; invalidate on "account:{uid}"; }\n'
)


def policy(text: str, **schemas: str) -> Policy:
    """The policy of one file, which must load; schemas by name without ending."""
    files = {"p.policy": f"language 1;\n{text}".encode(), **{f"schemas/{n}.json": s.encode() for n, s in schemas.items()}}
    loaded = load(files)
    assert loaded.policy is not None, [str(f) for f in loaded.findings]
    return loaded.policy


def findings(text: str, **schemas: str) -> list[str]:
    """`id line:column` of each finding but `no-tests`; the text begins on line 1 with `language 1;`."""
    files = {"p.policy": f"language 1; {text}".encode(), **{f"schemas/{n}.json": s.encode() for n, s in schemas.items()}}
    return [f"{f.id} {f.at.line}:{f.at.column}" for f in load(files).findings if f.id != "no-tests"]


def placed(text: str, **schemas: str) -> list[str]:
    """The ids of the findings at the sign §, which is taken out; others as `findings` has them. An error keeps the set from loading."""
    files = {"p.policy": f"language 1; {text}".replace("§", "").encode(), **{f"schemas/{n}.json": s.encode() for n, s in schemas.items()}}
    before, loaded = f"language 1; {text}".split("§")[0], load(files)
    place = f" {before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    assert (loaded.policy is None) is any(f.severity == "error" for f in loaded.findings)
    return [found.removesuffix(place) for found in findings(text.replace("§", ""), **schemas)]


def suggestions(text: str, **schemas: str) -> list[str]:
    """The ways out that the findings about this text give; likewise."""
    files = {"p.policy": f"language 1; {text}".encode(), **{f"schemas/{n}.json": s.encode() for n, s in schemas.items()}}
    return [f.hint for f in load(files).findings if f.hint]


class Facts(dict[FactKey, Known | Lost]):
    """Facts at hand; what is not among them must be loaded."""


def known(values: Mapping[FactKey, object]) -> Facts:
    """Facts with these values."""
    return Facts({key: Known(value=value) for key, value in values.items()})
