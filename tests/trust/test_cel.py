"""Expressions mean what they mean to Google's CEL, but for the clauses that narrow it, which `tests.trust.peer` lists."""

import os
import re
import sys
from collections import Counter
from collections.abc import Mapping

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.review import probe
from tests.policy.policies import Facts
from tests.trust import expressions, peer
from tests.trust.expressions import TYPES, UNTYPED, Written

FUZZ = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""How many expressions to make up by chance; without it, a few hundred, always the same ones."""

REFUSALS = {"wrong-type", "maybe-null", "missing-optional", "too-large", "duplicate-name"}
"""Ids of load errors where CEL knows no static type: everything else that is made up here must load."""

META = "meta { " + ", ".join(f"{name}: {text}" for name, text in TYPES.items()) + " }"
USED = re.compile(r"\b(?:" + "|".join((*TYPES, *UNTYPED)) + r")\b")


def examples(few: int) -> settings:
    """So many examples, or a share of FUZZ."""
    phases = (Phase.explicit, Phase.generate, Phase.shrink)
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=FUZZ or few, derandomize=not FUZZ, database=None, deadline=None, phases=phases, suppress_health_check=checks
    )


def decided(text: str, clause: str) -> Policy | str:
    """The policy whose only rule has the expression as its condition (`when`) or value (`info =`), or the id of its load error."""
    lets = "\n".join(f"let {name} = {'data' if name in UNTYPED else 'meta'}.{name};" for name in sorted(set(USED.findall(text))))
    loaded = load({"p.policy": f'language 1;\n{META}\n{lets}\nchannel "c" {{ allow subscribe {clause} {text}; }}'.encode()})
    return loaded.policy or next(finding.id for finding in loaded.findings if finding.severity == "error")


def asked(policy: Policy, values: Mapping[str, object]) -> Allow | None:
    meta = {name: values[name] for name in TYPES}
    data = {name: values[name] for name in UNTYPED}
    found = policy.decide(Request(op="subscribe", user="u", channel="c", meta=meta, data=data, timestamp_ms=1), Facts())
    if isinstance(found, Allow):
        return found
    assert isinstance(found, Deny)
    assert found.reason == "no_rule"
    return None


def evaluated(text: str, values: Mapping[str, object]) -> str:
    """What `eval` says: an outcome as the peer's."""
    answer = probe.evaluate(text, TYPES, values)
    assert answer.finding is None
    return peer.ERROR if answer.error is not None else peer.shown(answer.value)


def compare(written: Written, several: list[dict[str, object]], seen: Counter[str]) -> None:
    """Ask all about one expression; `seen` counts what they said."""
    clause = "when" if isinstance(policy := decided(written.text, "when"), Policy) else "info ="
    policy = policy if clause == "when" else decided(written.text, "info =")
    if isinstance(policy, str):
        assert policy in REFUSALS, written.text
        seen[f"refused: {policy}"] += 1
        return
    plain, strict = peer.compiled(written.text), peer.compiled(written.strict)
    if plain is None or strict is None:
        seen["too deep for CEL"] += 1
        return
    for values in several:
        ours, allow = evaluated(written.text, values), asked(policy, values)
        theirs, narrowed = peer.outcome(plain[0], values), peer.outcome(strict[0], values)
        told = written.text, values, {"ours": ours, "CEL": theirs, "strict": narrowed}
        assert ours == narrowed, told
        assert ours in (theirs, peer.ERROR), told
        if clause == "when":
            assert (allow is not None) == (ours == "true"), told
        else:
            assert (peer.ERROR if allow is None else peer.shown(allow.info)) == ours, told
        seen["typed" if plain[1] else "untyped"] += 1
        seen[said(ours, theirs)] += 1


def said(ours: str, theirs: str) -> str:
    if ours != peer.ERROR:
        return "both: value"
    return "both: error" if theirs == peer.ERROR else "ours: error, CEL: value"


def report(title: str, seen: Counter[str]) -> None:
    lines = [f"  {count:9} {name}" for name, count in sorted(seen.items())]
    sys.stdout.write("\n".join([f"\n{title}", *lines, ""]))


def test_an_expression_has_the_outcome_that_cel_gives_it() -> None:
    seen: Counter[str] = Counter()

    @examples(600)
    @given(
        st.one_of(expressions.bools, expressions.anys, expressions.ints, expressions.texts),
        st.lists(expressions.values, min_size=3, max_size=3),
    )
    def run(written: Written, several: list[dict[str, object]]) -> None:
        compare(written, several, seen)

    run()
    report("expressions", seen)
