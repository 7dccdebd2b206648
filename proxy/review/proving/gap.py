"""Asks the solver where two policies have too many cases to go through them: who gains, who loses, or that nobody does."""

from typing import Any, Final

import z3

from proxy.policy.decision import Allow, Deny
from proxy.policy.policy import Policy
from proxy.review import lines
from proxy.review.comparing.changes import Version
from proxy.review.comparing.units import Pair
from proxy.review.comparing.witness import Witness
from proxy.review.proving.channels import Channels
from proxy.review.proving.decisions import Asked, Decisions
from proxy.review.proving.example import Example
from proxy.review.proving.logic import opposite
from proxy.review.proving.payloads import Payloads
from proxy.review.proving.solver import ask
from proxy.review.proving.trees import World

TIMEOUT_MS: Final = 10_000
"""For each direction of one unit."""

_DROPPED: Final = ("timestamp_ms", "client", "transport", "key", "labels", "meta", "data")


class Gap:
    """Compares single units of two versions, as far as they are about operations on channels that both know."""

    def __init__(self, old: Version, new: Version) -> None:
        self._policies = old.policy, new.policy
        self._files = {**{f"old/{name}": raw for name, raw in old.files.items()}, **new.files}
        shared = old.policy.facts.keys() & new.policy.facts.keys()
        types = all(old.policy.facts[name].type == new.policy.facts[name].type for name in shared)
        self._alike = types and old.policy.meta == new.policy.meta

    def witnesses(self, pair: Pair) -> list[Witness] | None:
        """A request that is newly allowed and one that is newly denied; none where that is proven impossible, None if nobody knows."""
        if not self._alike or "channel" not in pair.asked or len(pair.channels) != len(self._policies):
            return None
        world = World()
        channels = Channels(world, pair.channels[0])
        asked = Asked(op=pair.operation, service=None, channels=channels, payloads=Payloads(world, self._files))
        sides = zip(self._policies, pair.units, strict=True)
        allowed = [Decisions(policy, world, asked).verdicts(unit).allowed for policy, unit in sides if unit]
        matched = channels.matched(pair.channels[1])
        asked.payloads.settle()
        found: list[Witness] = []
        for side in (0, 1):
            answer = ask(world, (matched, allowed[1 - side], opposite(allowed[side])), TIMEOUT_MS)
            if answer.state == "impossible":
                continue
            shown = self._shown(side, world, asked, answer.model) if answer.model is not None else None
            if shown is None:
                return None
            found.append(shown)
        return found

    def _shown(self, side: int, world: World, asked: Asked, model: z3.ModelRef) -> Witness | None:
        """The request of a model, if only the policy of this side refuses it, with no more in it than it needs."""
        found = self._decided(side, Example(self._policies[1 - side], world, model).line(asked))
        for name in _DROPPED:
            if found is not None:
                found = self._decided(side, {key: value for key, value in found.request.items() if key != name}) or found
        return found

    def _decided(self, side: int, line: dict[str, Any]) -> Witness | None:
        ends = [_end(policy, line) for policy in self._policies]
        if not (isinstance(ends[side], Deny) and isinstance(ends[1 - side], Allow)):
            return None
        texts = {lines.fact_text(key) for end in ends for key in end.facts}
        facts = {text: value for text, value in line["facts"].items() if text in texts}
        return Witness(request={**line, "facts": facts}, before=ends[0], after=ends[1])


def _end(policy: Policy, line: dict[str, Any]) -> Allow | Deny:
    found = policy.decide(lines.request(line), lines.Given(policy.facts, line["facts"]))
    return found if isinstance(found, Allow | Deny) else Deny(reason="fact_error")
