"""The anonymous user."""

from proxy.policy.decision import UNCHANGED
from proxy.policy.policy import Person

GUEST = Person(user="", meta=None, info=UNCHANGED, expires_at=None)
"""Who it is when nobody said who it is."""
