"""The coverage of a policy as one page of HTML: the policy line by line, beside each line what tests tried of it.

Self-contained and without scripts. What is not tried is said in words, not by colour alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Final

from proxy.policy.reading import statements
from proxy.policy.reading.parse import parse_file
from proxy.review.coverage import Coverage
from proxy.review.wording import visible

_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Coverage of the policy</title>
<style>
:root { color-scheme: light dark; --line: #8885; --bad: #fde8e8; --ink: #9b1c1c; --quiet: #595959; }
@media (prefers-color-scheme: dark) { :root { --bad: #4a1d1d; --ink: #ffb4b4; --quiet: #b3b3b3; } }
body { font: 1rem/1.45 system-ui, sans-serif; margin: 1rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
caption { position: absolute; clip-path: inset(50%); }
th, td { padding: .1rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody th { font-weight: normal; text-align: right; color: var(--quiet); }
code { font: .9rem/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4; }
ul { margin: 0; padding: 0; list-style: none; }
.gap { background: var(--bad); }
.gap strong { color: var(--ink); }
</style>
</head>
<body>
"""

_Note = tuple[str, str]
"""What was counted, and what is lacking or nothing."""


def page(files: Mapping[str, bytes], coverage: Coverage) -> str:
    """Write the page; `files` are those of the policy by name, of which its `*.policy` without tests are shown."""
    shown = {name: raw.decode() for name, raw in sorted(files.items()) if name.endswith(".policy") and not name.endswith(".test.policy")}
    notes = _notes(shown, coverage)
    return "".join((_HEAD, *_summary(shown, coverage, notes), "<main>\n", *_sections(shown, notes), "</main>\n</body>\n</html>\n"))


def _notes(files: Mapping[str, str], coverage: Coverage) -> dict[tuple[str, int], list[_Note]]:
    """What there is to say of each line."""
    notes: dict[tuple[str, int], list[_Note]] = {}

    def add(file: str, line: int, text: str, lacks: str) -> None:
        notes.setdefault((file, line), []).append((text, lacks))

    for ruling in coverage.rulings:
        add(ruling.at.file, ruling.at.line, f"{ruling.id}: decides {ruling.decides}", ruling.lacks)
    for each in coverage.conditions:
        add(each.at.file, each.at.line, f"{each.what}: true {each.true}, false {each.false}, error {each.error}", each.lacks)
    places = {fact.name.text: fact.at for name, text in files.items() for fact in _facts(name, text)}
    for reliance in coverage.facts:
        at = places[reliance.name]
        add(at.file, at.line, f"{reliance.name}: read {reliance.reads}, failed {reliance.failures}", reliance.lacks)
    return notes


def _facts(name: str, text: str) -> Iterator[statements.Fact]:
    yield from (each for each in parse_file(name, text)[0].statements if isinstance(each, statements.Fact))


def _summary(files: Iterable[str], coverage: Coverage, notes: Mapping[tuple[str, int], list[_Note]]) -> Iterator[str]:
    met, goals = coverage.goals
    yield f"<header>\n<h1>Coverage of the policy</h1>\n<p><strong>{coverage.percent:g} %</strong> tried: {met} of {goals}</p>\n</header>\n"
    yield '<nav aria-label="Files">\n<ul>\n'
    for name in files:
        lacking = sum(bool(lacks) for (file, _), each in notes.items() if file == name for _, lacks in each)
        yield f'<li><a href="#{_anchor(name)}">{_text(name)}</a>: {f"{lacking} not tried" if lacking else "all tried"}</li>\n'
    yield "</ul>\n</nav>\n"


def _sections(files: Mapping[str, str], notes: Mapping[tuple[str, int], list[_Note]]) -> Iterator[str]:
    for name, text in files.items():
        title = f"{_text(name)}, line by line"
        yield f'<section id="{_anchor(name)}">\n<h2>{_text(name)}</h2>\n<table>\n<caption>{title}</caption>\n'
        yield '<thead><tr><th scope="col">Line</th><th scope="col">Policy</th><th scope="col">Tried</th></tr></thead>\n<tbody>\n'
        for number, line in enumerate(text.replace("\r\n", "\n").removesuffix("\n").split("\n"), 1):
            yield _row(number, line, notes.get((name, number), []))
        yield "</tbody>\n</table>\n</section>\n"


def _row(number: int, line: str, notes: Iterable[_Note]) -> str:
    items = [f"<li>{_text(text)}{f' <strong>{lacks}</strong>' if lacks else ''}</li>" for text, lacks in notes]
    told = f"<ul>{''.join(items)}</ul>" if items else ""
    gap = ' class="gap"' if any(lacks for _, lacks in notes) else ""
    return f'<tr{gap}><th scope="row">{number}</th><td><code>{_text(line)}</code></td><td>{told}</td></tr>\n'


def _anchor(name: str) -> str:
    """An id for a file, of the characters that ids may hold anywhere."""
    return "file-" + "".join(character if character.isalnum() else f"_{ord(character):x}_" for character in name)


def _text(text: str) -> str:
    return escape(visible(text.replace("\t", "    ")))
