"""Makes up expressions of the policy language and the values of their variables.

An expression is written twice: as it stands in a policy, which is also what CEL reads, and for the strict peer, where each
operator that the language narrows carries a guard of `tests.trust.peer`.
"""

import dataclasses
from collections.abc import Mapping

from hypothesis import strategies as st

TYPES: Mapping[str, str] = {
    "n": "int",
    "k": "int",
    "d": "double",
    "s": "string",
    "t": "string",
    "ok": "bool",
    "xs": "list<string>",
    "ns": "list<int>",
    "ds": "list<double>",
    "ks": "map<string, int>",
    "rec": "{ a: int, b?: string }",
    "maybe": "string?",
}
"""Variables with a type; `x` and `y` have none."""

UNTYPED = ("x", "y")

GUARDED: Mapping[str, str] = {
    "(@ == @)": "same([@, @])",
    "(@ != @)": "!same([@, @])",
    "(@ in @)": "among([@, @])",
    "(@ + @)": "(addend([@]) + @)",
    "(@ < @)": "(ordered([@]) < @)",
    "(@ <= @)": "(ordered([@]) <= @)",
    "(@ > @)": "(ordered([@]) > @)",
    "(@ >= @)": "(ordered([@]) >= @)",
    "int(@)": "int(numeral([@]))",
    "string(@)": "string(plain([@]))",
    "(@)[@]": "(@)[place([@])]",
}
"""The forms whose meaning the language narrows, as the strict peer reads them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An expression as policies and CEL read it, and as the strict peer does."""

    text: str
    strict: str


Some = st.SearchStrategy[Written]


def _fill(form: str, parts: list[str]) -> str:
    head, *rest = form.split("@")
    return head + "".join(part + after for part, after in zip(parts, rest, strict=True))


def form(pattern: str, *parts: Some) -> Some:
    """Expressions of a form; each `@` is one part."""
    guarded = GUARDED.get(pattern, pattern)

    def write(found: tuple[Written, ...]) -> Written:
        return Written(text=_fill(pattern, [p.text for p in found]), strict=_fill(guarded, [p.strict for p in found]))

    return st.tuples(*parts).map(write)


def forms(pattern: str, words: tuple[str, ...], *parts: Some) -> Some:
    """Expressions of several forms, which differ in the word at `~`."""
    return st.one_of([form(pattern.replace("~", word), *parts) for word in words])


def one(*words: str) -> Some:
    """One of these texts, which mean the same to all."""
    return st.sampled_from([Written(text=word, strict=word) for word in words])


ORDER = ("<", "<=", ">", ">=")
EQUAL = ("==", "!=")
MACROS = ("all", "exists", "exists_one")
PATTERNS = ("^[a-z]*$", "a+", "[0-9]", "(?i)É", "^.$", "^\\\\pL", "[^a]", "a|b", "", "\\\\x00", "(a*)*$")

nulls = one("null")
bools: Some = st.deferred(lambda: st.one_of(one("true", "false", "ok"), compared, joined, asked, overs, guarded))
ints: Some = st.deferred(
    lambda: st.one_of(
        one("n", "k", "0", "1", "-1", "2", "3", "9223372036854775807", "-9223372036854775808", 'ks["a"]', "rec.a", "ns[0]"),
        forms("(@ ~ @)", ("+", "-", "*", "/", "%"), ints, ints),
        form("-(@)", ints),
        form("size(@)", texts | lists | maps | anys),
        form("(@).size()", texts | lists | maps | anys),
        form("int(@)", texts | ints | doubles | anys),
        form("(@ ? @ : @)", bools, ints, ints),
        form("(@)[@]", one("ns", "[1, 2]"), ints),
    )
)
doubles: Some = st.deferred(
    lambda: st.one_of(
        one("d", "0.0", "1.0", "-2.5", "1e3", "1e308", "9007199254740992.0", "ds[0]"),
        forms("(@ ~ @)", ("+", "-", "*", "/"), doubles, doubles),
        form("-(@)", doubles),
    )
)
texts: Some = st.deferred(
    lambda: st.one_of(
        one("s", "t", '""', '"a"', '"b"', '"1"', "'é'", '"A\\n\\x41\\u00e9\\U0001F600\\101\\?\\a"', '"""a"b"""', "xs[0]"),
        form("(@ + @)", texts, texts | anys),
        form("string(@)", texts | ints | bools | anys),
        form("(@).lowerAscii()", texts | anys),
        form("(@)[@]", one("xs", '["a", "b"]'), ints),
        form("(maybe != null ? maybe : @)", texts),
    )
)
lists: Some = st.deferred(lambda: st.one_of(one("xs", "ns", "ds", "[]"), form("[@]", ints | anys), form("[@, @]", texts, texts | anys)))
maps: Some = st.deferred(lambda: st.one_of(one("ks", "rec", "{}"), form('{"a": @}', ints), form('{"a": @, "b": @}', anys, texts | anys)))
anys: Some = st.deferred(
    lambda: st.one_of(
        one("x", "y", "x.a", "x.b", "y.a", 'x["a"]', "x[0]", "y[1]", "x.a.b"),
        form("(@)[@]", one("x", "y", "x.a"), ints | texts | anys),
        forms("(@ ~ @)", ("+", "-", "*", "/", "%"), anys, anys | ints | doubles),
        form("-(@)", anys),
        form("(@ ? @ : @)", bools | anys, anys, anys | ints),
        form("[@, @][0]", anys, ints),
        form('{"a": @}.a', anys),
    )
)
compared: Some = st.one_of(
    forms("(@ ~ @)", EQUAL, ints | doubles, ints | doubles | anys),
    forms("(@ ~ @)", EQUAL, texts, texts | anys),
    forms("(@ ~ @)", EQUAL, bools | lists | maps | anys, bools | lists | maps | anys | nulls),
    forms("(@ ~ @)", ORDER, ints | doubles | anys, ints | doubles | anys),
    forms("(@ ~ @)", ORDER, texts | anys, texts | anys),
    form("(@ in @)", texts | ints | doubles | bools | anys, lists | maps | anys),
)
joined: Some = st.one_of(
    forms("(@ ~ @)", ("&&", "||"), bools | anys, bools | anys),
    form("(@ && @ || @)", bools, anys, bools),
    form("!(@)", bools | anys),
    form("(@ ? @ : @)", bools | anys, bools, bools | anys),
)
asked: Some = st.one_of(
    one("has(x.a)", "has(x.a.b)", "has(y.a)", "has(ks.a)", "has(rec.b)", "x == null", "null != y"),
    form('has({"b": @}.a)', anys),
    forms("(@).~(@)", ("contains", "startsWith", "endsWith"), texts | anys, texts | anys),
    st.one_of([form(f'(@).matches("{pattern}")', texts | anys) for pattern in PATTERNS]),
)
guarded: Some = st.one_of(
    form("(has(rec.b) && (rec.b + @) < @)", texts, texts),
    form("(maybe == null || maybe.startsWith(@))", texts),
    form("(maybe != null && @)", bools),
)


def _over(pattern: str, *parts: Some) -> Some:
    """Macros; the first part is what they run over."""

    def write(found: tuple[str, tuple[Written, ...]]) -> Written:
        word, (over, *rest) = found
        body = [part.text for part in rest], [part.strict for part in rest]
        head = f"({over.text}).{word}(", f"many([{over.strict}]).{word}("
        return Written(text=head[0] + _fill(pattern, body[0]), strict=head[1] + _fill(pattern, body[1]))

    return st.tuples(st.sampled_from(MACROS), st.tuples(*parts)).map(write)


_items = one("i", "[i]", '{"a": i}', "[i, i][1]")
_pairs: Some = st.one_of(
    forms("(@ ~ @)", EQUAL, one("i", "j"), one("i", "j") | anys | texts), form("(@ in @)", one("i", "j"), lists | one("[j]"))
)
overs: Some = st.one_of(
    _over("i, @)", lists | maps | anys, forms("(@ ~ @)", EQUAL, _items, _items | anys | texts | ints)),
    _over("i, @)", lists | maps | anys, forms("(@ ~ @)", ORDER, one("i", "size(i)"), anys | texts | ints)),
    _over("i, @ || @)", lists | anys, form("(@ in @)", _items, lists | anys), bools),
    _over("i, i)", st.one_of(one("x", "y"), form("[@, @]", bools, bools | anys))),
    _over("i, @)", lists | anys, _over("j, @)", lists | maps | anys, _pairs)),
)

flat: Some = (
    st.lists(
        st.tuples(
            st.sampled_from(["n", "k", "1", "2", "-3", "!ok", "ok", "- n", "!!ok", "true", "(n + 1)", "ns[0]", "n", "k"]),
            st.sampled_from(
                ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "&&", "||", "in [1, n] ==", "? ok :", "? n :"]
            ),
        ),
        min_size=2,
        max_size=8,
    )
    .map(lambda found: " ".join(f"{operand} {operator}" for operand, operator in found) + " 1")
    .map(lambda text: Written(text=text, strict=text))
)
"""Operators without parentheses between operands of known types: what binds to what."""

_words = st.sampled_from(["", "a", "b", "ab", "é", "É", "😀a", "a\n", "1", "007", "-5", "+5", " 1", "-0", "9223372036854775808"])
_whole = st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63), 2**53 + 1])
_broken = st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.5, 2.0, 1e308, 2.0**53, 9.3e18, -1e30])
_json = st.recursive(
    st.none() | st.booleans() | _whole | _broken | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "n"]), inner, max_size=3),
    max_leaves=6,
)
_long: st.SearchStrategy[list[int]] = st.sampled_from([[1] * 1001, [0, 1]])
values: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {
        "n": _whole,
        "k": _whole,
        "d": _broken,
        "s": _words,
        "t": _words,
        "ok": st.booleans(),
        "xs": st.lists(_words, max_size=3),
        "ns": st.lists(_whole, max_size=3) | _long,
        "ds": st.lists(_broken, max_size=2),
        "ks": st.dictionaries(st.sampled_from(["a", "b"]), _whole),
        "rec": st.fixed_dictionaries({"a": _whole}, optional={"b": _words}),
        "maybe": st.none() | _words,
        "x": _json,
        "y": _json,
    }
)
"""A value for every variable."""
