"""Every exception Centrigate raises, in two subtrees: ours and theirs.

CentrigateError
├── Fault            ours: something we rely on failed; callers are told to come back later
│   ├── SetupFault       settings, policies or programs are not usable: nothing starts (exit code 2)
│   ├── FactFault        a source of facts or identities failed, was late or answered nonsense
│   │   └── Away             the source was not reached or did not answer, whatever it was asked for
│   ├── DeliveryFault    Centrifugo's server API could not be reached or did not answer in time
│   │   └── Unread           Centrifugo would not read what it was sent: it applied nothing
│   ├── StoreFault       the store that replicas share could not be reached or did not answer in time
│   └── Overload         more work is in flight than is allowed
└── Malformed        theirs: the input cannot be read; nothing was changed
    ├── TooLarge         the body is longer than allowed
    ├── WrongMethod      the HTTP method is not the one that the path takes
    └── Unauthorized     a hook secret, service key or credential is missing or wrong

A refusal by the policy is no exception: it is a `proxy.policy.decision.Deny`.
"""


class CentrigateError(Exception):
    """The root of both subtrees; its text is one sentence that a person can act on."""


class Fault(CentrigateError):
    """Something on our side failed; the same request may succeed later."""


class SetupFault(Fault):
    """Settings, policies or programs are not usable; the text says what to do."""


class FactFault(Fault):
    """A source of facts or identities failed, was late or answered what does not fit its declaration."""


class Away(FactFault):
    """A source was not reached or did not answer; it is not about what it was asked for."""


class DeliveryFault(Fault):
    """Centrifugo's server API could not be reached or did not answer in time; what it applied is unknown."""


class Unread(DeliveryFault):
    """Centrifugo, or a proxy before it, would not read what it was sent; nothing was applied."""


class StoreFault(Fault):
    """The store that replicas share could not be reached or did not answer in time."""


class Overload(Fault):
    """More work is in flight than the limit allows."""


class Malformed(CentrigateError):
    """The input cannot be read as what it should be; nothing was changed."""


class TooLarge(Malformed):
    """A body is longer than the limit."""


class WrongMethod(Malformed):
    """The HTTP method is not the one that the path takes."""


class Unauthorized(Malformed):
    """A secret, key or credential is missing or wrong; the text never holds it."""
