"""Gives every checked expression of a policy set its function."""

from collections.abc import Callable, Mapping

from proxy.policy.checking.world import Binding, Book, Code
from proxy.policy.deciding.context import Context, meta
from proxy.policy.deciding.emit import Emitter
from proxy.policy.decision import Request
from proxy.policy.failure import Exhausted, Failed
from proxy.policy.types import Fit


def compile_all(book: Book, fit_meta: Fit | None) -> None:
    """Compiles the expressions that checking left in the book; a let is computed once per decision, also one that has no value."""
    lets: list[Callable[..., object]] = []
    emitter = Emitter(book, lets, lambda context, _: meta(context, fit_meta))
    lets.extend(_memo(binding) for binding in book.bindings)
    for code in book.codes:  # lets come before what names them
        visible = _visible(book, code)
        run = emitter.function(code, visible)
        code.pays = emitter.pays or any(binding.value.pays for binding in visible.values())
        code.run = _anew(run) if code.pays else run


def _anew(run: Callable[..., object]) -> Callable[..., object]:
    """The function of an expression that pays; where it errs nothing is paid, as the exact evaluation pays for all of it."""

    def paying(context: Context, request: Request) -> object:
        left, lets = context.left, len(context.lets)
        try:
            return run(context, request)
        except Exhausted:
            raise
        except Exception:
            context.left = left
            while len(context.lets) > lets:
                context.lets.popitem()
            raise

    return paying


def _visible(book: Book, code: Code) -> Mapping[str, Binding]:
    return {book.bindings[slot].name: book.bindings[slot] for slot in code.uses.direct}


def _memo(binding: Binding) -> Callable[[Context, Request], object]:
    slot, code = binding.slot, binding.value

    def let(context: Context, request: Request) -> object:
        if context.unknown is not None and slot in context.unknown:
            raise Failed("the let has no value")
        value = context.lets[slot] = code.run(context, request)
        return value

    return let
