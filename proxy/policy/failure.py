"""How an expression ends without a value."""


class Failed(Exception):
    """An expression has no value; CEL's operators may absorb it."""


class Exhausted(Failed):
    """The steps of the decision are spent; unlike other errors it is never absorbed, the whole expression ends with it."""
