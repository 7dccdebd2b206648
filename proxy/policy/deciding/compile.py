"""Gives every checked expression of a policy set its function."""

from collections.abc import Callable, Mapping

from proxy.policy.checking.world import Binding, Book, Code
from proxy.policy.deciding.context import Context, meta
from proxy.policy.deciding.emit import Emitter
from proxy.policy.decision import Request
from proxy.policy.types import Fit


def compile_all(book: Book, fit_meta: Fit | None) -> None:
    """Compiles the expressions that checking left in the book; lets are computed once per decision."""
    lets: list[Callable[..., object]] = []
    emitter = Emitter(book, lets, lambda context, _: meta(context, fit_meta))
    lets.extend(_memo(binding) for binding in book.bindings)
    for code in book.codes:
        code.run = emitter.function(code, _visible(book, code))


def _visible(book: Book, code: Code) -> Mapping[str, Binding]:
    return {book.bindings[slot].name: book.bindings[slot] for slot in code.uses.direct}


def _memo(binding: Binding) -> Callable[[Context, Request], object]:
    slot, code = binding.slot, binding.value

    def let(context: Context, request: Request) -> object:
        value = context.lets[slot] = code.run(context, request)
        return value

    return let
