"""What becomes of a payload that was let through."""

from proxy.policy.decision import UNCHANGED, Allow
from proxy.wire import publications


def outgoing(allow: Allow) -> object:
    """Give the payload that a publication goes out with, in place of the client's own text, or `publications.UNCHANGED`.

    The client's text stays only where no rule looked at it, and where it is null, which can be read in no other way; Centrifugo would
    take a null of ours as one more payload.
    """
    return publications.UNCHANGED if allow.data is UNCHANGED or allow.data is None else allow.data
