"""The examination: a file of Centrifugo, its environment and a policy in, findings out."""

from collections.abc import Mapping, Sequence

from proxy.policy.policy import Policy
from proxy.review.doctor.chart import Chart
from proxy.review.doctor.conversion import convert
from proxy.review.doctor.document import Document, Tree
from proxy.review.doctor.environment import lay
from proxy.review.doctor.findings import Finding
from proxy.review.doctor.fitting import Trouble, fit
from proxy.review.doctor.hooks import hooks
from proxy.review.doctor.needs import needs
from proxy.review.doctor.spaces import spaces
from proxy.review.doctor.switches import ignored, switches, variables
from proxy.review.doctor.vocabulary import FIFTH, Version, shape


def version(tree: Tree) -> Version:
    """The version that a configuration is written for, by the keys that only one of them has; 6 when nothing tells."""
    five, six = (sum(1 for name in tree if name in shape(each) and name not in shape(other)) for each, other in ((5, 6), (6, 5)))
    scalars = sum(1 for name, value in tree.items() if isinstance(shape(6).get(name), Mapping) and not isinstance(value, Mapping))
    return 5 if five + scalars > six else 6


def chart(document: Document, chosen: Version | None = None, given: Mapping[str, str] | None = None) -> tuple[Chart, list[Trouble]]:
    """Prepare a file for the examination; `given` is the environment of Centrifugo, as far as it is known."""
    return _prepared(document, chosen or version(document.tree), given or {})[:2]


def examine(document: Document, policy: Policy, chosen: Version | None = None, given: Mapping[str, str] | None = None) -> Sequence[Finding]:
    """Everything that lets clients past the policy or keeps it from being asked, in the order of the file."""
    prepared, troubles, unknown = _prepared(document, chosen or version(document.tree), given or {})
    wanted = needs(policy, str(prepared.at("channel", "namespace_boundary") or ":"))
    found = [
        *ignored(prepared, troubles),
        *variables(prepared, given, unknown),
        *switches(prepared),
        *hooks(prepared, wanted),
        *spaces(prepared, wanted),
    ]
    return sorted(dict.fromkeys(found), key=lambda each: (each.line or 0, each.key, each.id))


def _prepared(document: Document, chosen: Version, given: Mapping[str, str]) -> tuple[Chart, list[Trouble], tuple[str, ...]]:
    laid = lay(document.tree, given, chosen)
    fitted, troubles = fit(laid.tree, shape(chosen))
    old, tree = (fitted, convert(fitted).tree) if chosen == FIFTH else ({}, fitted)
    return Chart(version=chosen, tree=tree, document=document, old=old, placed=laid.set), troubles, laid.unknown
