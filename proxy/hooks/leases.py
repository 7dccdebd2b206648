"""How long a grant lasts before it has to be decided again."""

import random
from collections.abc import Callable
from typing import Final

from proxy.policy.decision import Allow

DEFAULT_S: Final = 300
"""Seconds until the next refresh of what a rule without `expire` prolonged: Centrifugo wants an end to every prolongation."""
MOMENT_S: Final = 30
"""Seconds that something is prolonged when nobody can decide about it."""


def end(allow: Allow, now_ms: int, chance: Callable[[], float] = random.random) -> int | None:
    """Give the end of a grant in epoch seconds, None when its rule sets none; see `Allow.until`."""
    return allow.until(now_ms, chance)


def renewal(allow: Allow, now_ms: int, chance: Callable[[], float] = random.random) -> int:
    """Give the new end of a grant that is prolonged, in epoch seconds: `end`, or `DEFAULT_S` from now."""
    until = end(allow, now_ms, chance)
    return now_ms // 1000 + DEFAULT_S if until is None else until
