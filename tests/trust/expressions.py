"""Makes up expressions of the policy language and values for their variables, from a grammar and a source of chance.

An expression is written twice: as it stands in a policy, which is also what CEL reads, and for the strict peer, where each
operator that the language narrows carries a guard of `tests.trust.peer`.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from random import Random

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
    "- -@": "-(-@)",
    "!!@": "!(!@)",
    "(@).all(i, @)": "many([@]).all(i, @)",
    "(@).exists(i, @)": "many([@]).exists(i, @)",
    "(@).exists_one(i, @)": "many([@]).exists_one(i, @)",
    "(@).all(j, @)": "many([@]).all(j, @)",
    "(@).exists(j, @)": "many([@]).exists(j, @)",
    "(@).exists_one(j, @)": "many([@]).exists_one(j, @)",
}
"""The forms whose meaning the language narrows, as the strict peer reads them. CEL drops two signs in a row unread: `- -n` and `!!n`
are `n` there, whatever its value or type, and errors here, where each sign counts."""

_EQUAL = ("==", "!=")
_ORDER = ("<", "<=", ">", ">=")
_MACROS = ("all", "exists", "exists_one")
_PATTERNS = ("^[a-z]*$", "a+", "[0-9]", "(?i)É", "^.$", "^\\\\pL", "[^a]", "a|b", "", "(a*)*$", "\\\\d$")


def _several(form: str, words: Sequence[str]) -> tuple[str, ...]:
    """The form with each of the words at `~`."""
    return tuple(form.replace("~", word) for word in words)


GRAMMAR: Mapping[str, Sequence[str]] = {
    "bool": (
        *("true", "false", "ok", "has(x.a)", "has(x.a.b)", "has(y.a)", "has(ks.a)", "has(rec.b)", "(x == null)", "(null != y)"),
        *_several("(<number> ~ <number|any>)", (*_EQUAL, *_ORDER)),
        *_several("(<any> ~ <any|number|text>)", (*_EQUAL, *_ORDER)),
        *_several("(<text> ~ <text|any>)", (*_EQUAL, *_ORDER)),
        *_several("(<bool|list|map|any> ~ <bool|list|map|any|null>)", _EQUAL),
        *_several("(<list> ~ <list>)", _EQUAL),
        *_several("(<map> ~ <map>)", _EQUAL),
        *("(<text|number|bool|any> in <list|any>)", "(<text|any> in <map|any>)", "(<any> in <inline>)"),
        *_several("(<bool|any> ~ <bool|any>)", ("&&", "||", "&&", "||")),
        *("(<bool> && <any> || <bool>)", "!!<var>", "!(<bool|any>)", "(<bool|any> ? <bool> : <bool|any>)", 'has({"b": <any>}.a)'),
        *_several("(<text|any>).~(<text|any>)", ("contains", "startsWith", "endsWith")),
        *_several('(<text|any>).matches("~")', _PATTERNS),
        *("(has(rec.b) && (rec.b + <text>) < <text>)", "(maybe == null || maybe.startsWith(<text>))", "(maybe != null && <bool>)"),
        *_several("(<list|map|any>).~(i, <body>)", _MACROS * 2),
        *_several("(<list|any>).~(i, <nest>)", _MACROS),
    ),
    "body": (
        *("i", "(<i> == <i>)"),
        *_several("(<item> ~ <item|any|text|number>)", (*_EQUAL, *_ORDER)),
        *("(<item> in <list|any>)", "(<item> in <inline>)", "(<item|bool> || <body>)", "(<item|bool> && <body>)", "has(i.a)"),
        *("i.startsWith(<text>)", "(size(i) > <int>)", "(i ? <bool> : <body>)", "!(<item>)"),
    ),
    "nest": _several("(<list|map|any>).~(j, <pair>)", _MACROS),
    "pair": (
        *_several("(<i> ~ <j>)", (*_EQUAL, *_ORDER, "in", "&&", "||")),
        *("(<j> in <inline>)", "(<j> == <any|text>)", "(<bool> || <pair>)", "(j && i)", "has(j.a)"),
    ),
    "i": ("i",),
    "j": ("j",),
    "item": ("i", "i", "[i]", '{"a": i}', "[i, i][1]", "i.a", "i[0]", "size(i)"),
    "number": ("<int>", "<double>", "<int>"),
    "int": (
        *("n", "k", "0", "1", "-1", "2", "9223372036854775807", "-9223372036854775808", 'ks["a"]', "rec.a", "ns[0]"),
        *_several("(<int> ~ <int>)", ("+", "-", "*", "/", "%")),
        *("-(<int>)", "- -<var>", "size(<text|list|map|any>)", "(<text|list|map|any>).size()", "int(<text|int|double|any>)", "int(<text>)"),
        *("(<bool> ? <int> : <int>)", "(ns)[<int>]"),
    ),
    "double": (
        *("d", "0.0", "1.0", "-2.5", "1e3", "1e308", "ds[0]"),
        *_several("(<double> ~ <double>)", ("+", "-", "*", "/")),
        *("-(<double>)", "(ds)[<int>]"),
    ),
    "text": (
        *("s", "t", '""', '"a"', '"b"', '"1"', "'é'", '"A\\n\\x41\\u00e9\\U0001F600\\101\\?\\a"', '"""a"b"""', "xs[0]"),
        *("(<text> + <text|any>)", "string(<text|int|bool|any>)", "(<text|any>).lowerAscii()", "(xs)[<int>]"),
        *("(maybe != null ? maybe : <text>)", "(<bool> ? <text> : <text>)"),
    ),
    "list": ("xs", "ns", "ds", "[]", "[<int|any>]", "[<text>, <text|any>]", "[<double>, <int>]", "[<list>]"),
    "inline": ("[<any|text|number>]", "[<any|text>, <any|number>]"),
    "map": ("ks", "rec", "{}", '{"a": <int>}', '{"a": <any>, "b": <any|text>}', '{"b": <map>}'),
    "any": (
        *("x", "y", "x.a", "x.b", "y.a", 'x["a"]', "x[0]", "y[1]", "x.a.b", "(<any>)[<int|text|any>]", "(x)[<double>]"),
        *_several("(<any> ~ <any|number>)", ("+", "-", "*", "/", "%")),
        *("(<text> + <any>)", "(<list> + <any>)", "-(<any>)", "(<bool|any> ? <any> : <any|int>)", "[<any>, <int>][0]", '{"a": <any>}.a'),
    ),
    "var": ("ok", "n", "x"),
    "null": ("null",),
}
"""The forms of each kind of expression; `<a|b>` is a part of one of these kinds."""

_PART = re.compile("<([a-z|]+)>")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An expression as policies and CEL read it, and as the strict peer does."""

    text: str
    strict: str


def made(chance: Random, grammar: Mapping[str, Sequence[str]], kind: str, depth: int) -> Written:
    """An expression of a kind with at most about so many levels."""
    forms = grammar[kind]
    if depth <= 0 or chance.random() < 0.2:
        forms = [form for form in forms if not _PART.search(form)] or forms
    form = chance.choice(forms)
    parts = [made(chance, grammar, chance.choice(kinds.split("|")), depth - 1) for kinds in _PART.findall(form)]
    bare = _PART.sub("@", form)
    return Written(text=_filled(bare, [p.text for p in parts]), strict=_filled(GUARDED.get(bare, bare), [p.strict for p in parts]))


def _filled(form: str, parts: Sequence[str]) -> str:
    head, *rest = form.split("@")
    return head + "".join(part + after for part, after in zip(parts, rest, strict=True))


FLAT: Mapping[str, Sequence[str]] = {
    "whole": (
        "<condition>",
        "<condition> ? <condition> : <condition>",
        "<condition> ? <sum> : <sum>",
        "<condition> ? ok : <whole>",
        "<sum>",
    ),
    "condition": ("<test>", "<test>", "<test> && <condition>", "<test> || <condition>"),
    "test": (
        *("ok", "!ok", "!!ok", "true", "!(n == k)", "<sum> in [1, n] == ok", "<sum> in ns", "s in xs != ok", "-n in ns", "!ok != true"),
        *_several("<sum> ~ <sum>", (*_EQUAL, *_ORDER)),
        *_several("<sum> ~ <sum> == ok", (*_EQUAL, *_ORDER)),
    ),
    "sum": ("<term>", "<term>", *_several("<term> ~ <sum>", ("+", "-", "*", "/", "%"))),
    "term": ("n", "k", "1", "2", "-3", "-n", "-k", "ns[0]", "-ns[0]", "size(xs)", "(n + 1)", "(ok ? n : k)", "rec.a"),
}
"""Operators without parentheses between operands of known types: what binds to what."""

_WORDS = ("", "a", "b", "ab", "é", "É", "😀a", "a\n", "1", "007", "-5", "+5", " 1", "-0", "9223372036854775808", "A")
_INTS = (0, 1, -1, 2, 3, 2**63 - 1, -(2**63), 2**53 + 1)
_DOUBLES = (0.0, -0.0, 1.0, 1.5, -2.5, 2.0, 1e308, 9.3e18, -1e30)


def _json(chance: Random, depth: int) -> object:
    match chance.randrange(9 if depth else 5):
        case 0:
            return chance.choice((None, True, False))
        case 1 | 2:
            return chance.choice(_INTS)
        case 3:
            return chance.choice(_DOUBLES)
        case 4:
            return chance.choice(_WORDS)
        case 5 | 6:
            return [_json(chance, depth - 1) for _ in range(chance.randrange(3))]
    return {name: _json(chance, depth - 1) for name in chance.sample(("a", "b", "n"), chance.randrange(4))}


def _some(chance: Random, pool: Sequence[object]) -> list[object]:
    return [chance.choice(pool) for _ in range(chance.randrange(4))]


def values(chance: Random) -> dict[str, object]:
    """A value for every variable."""
    return {
        "n": chance.choice(_INTS),
        "k": chance.choice(_INTS),
        "d": chance.choice(_DOUBLES),
        "s": chance.choice(_WORDS),
        "t": chance.choice(_WORDS),
        "ok": chance.random() < 0.5,
        "xs": _some(chance, _WORDS),
        "ns": _some(chance, _INTS) if chance.random() < 0.95 else [1] * 1001,
        "ds": _some(chance, _DOUBLES),
        "ks": {name: chance.choice(_INTS) for name in chance.sample(("a", "b"), chance.randrange(3))},
        "rec": {"a": chance.choice(_INTS)} | ({"b": chance.choice(_WORDS)} if chance.random() < 0.5 else {}),
        "maybe": chance.choice((None, *_WORDS)),
        "x": _json(chance, 2),
        "y": _json(chance, 2),
    }
