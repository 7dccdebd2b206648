"""What expressions see of a decision in the making: the request, the facts that were read, the lets that were computed."""

from collections.abc import Mapping
from typing import Any

from proxy.policy.decision import FactKey, Facts, Known, Lost, Request
from proxy.policy.failure import Failed
from proxy.policy.meter import STEPS, Meter
from proxy.policy.types import Fit, Misfit

UNSET: Any = object()
"""Marks what was not computed yet."""


class LostFact(Exception):
    """A fact was read whose source failed."""


class Missing(Exception):
    """Facts must be loaded before this can be evaluated."""

    def __init__(self, keys: frozenset[FactKey]) -> None:
        super().__init__(keys)
        self.keys = keys


class Context(Meter):
    """The memory of one decision, and what is left of its steps.

    `read` are the facts it rests on; `lets` are the values of lets by slot, `unknown` what came of those that have none.
    """

    __slots__ = ("facts", "lets", "meta", "payload", "read", "request", "unknown", "vars")

    def __init__(self, request: Request, facts: Facts, read: dict[FactKey, Known | Lost]) -> None:
        self.request, self.facts, self.read = request, facts, read
        self.left = STEPS
        self.lets: dict[int, Any] = {}
        self.unknown: dict[int, object] | None = None
        self.vars: Mapping[str, object] = _NO_VARS
        self.meta: Any = UNSET
        self.payload: object = request.data

    def fact(self, key: FactKey) -> object:
        """The value of a fact, noted as read; raises `Missing` or `LostFact`."""
        found = self.facts.get(key)
        if found is None:
            raise Missing(frozenset((key,)))
        self.read[key] = found
        if found.__class__ is Known:
            return found.value
        raise LostFact


_NO_VARS: Mapping[str, object] = {}


def meta(context: Context, fit: Fit | None) -> object:
    """The connection meta, fitted to its declared type once; raises `Failed` when it does not fit."""
    if context.meta is UNSET:
        raw = context.request.meta
        try:
            value = {} if raw is None else raw
            context.meta = fit(value) if fit else value
        except Misfit as misfit:
            context.meta = misfit
    if context.meta.__class__ is Misfit:
        raise Failed(f"meta: {context.meta}")
    return context.meta


def argument(fit: Fit, value: object) -> object:
    """An argument of a fact whose type is known only now."""
    try:
        return fit(value)
    except Misfit as misfit:
        raise Failed(str(misfit)) from None
