import ast
import re
from collections.abc import Iterator
from statistics import median

import pytest

from tests.house.tree import ROOT, functions, modules

NAMES = list(modules())

VALUE = "dataclass(frozen=True, slots=True, kw_only=True)"
OTHERWISE = {
    # Built for every call, where freezing costs more than the rest of the decoding.
    "proxy/wire/requests.py": {"*"},
    "proxy/wire/replies.py": {"Connected", "Subscribed"},
    "proxy/policy/decision.py": {"Request", "Allow"},
    "proxy/policy/policy.py": {"Person", "Seen"},
    "proxy/identity/chain.py": {"Credentials"},
    "proxy/tokens/mint.py": {"Issued"},
    "proxy/grants/grant.py": {"Grant"},
    # Filled step by step by the one function or class that owns them.
    "proxy/gateway/parcels.py": {"Errand"},
    "proxy/grants/endings.py": {"_Loss"},
    "proxy/facts/cache.py": {"_Kept"},
    "proxy/policy/checking/world.py": {"Code", "Book"},
    "proxy/policy/reading/lex.py": {"Lexemes"},
    "proxy/policy/reading/spacing.py": {"Piece"},
    "proxy/stores/folder.py": {"_Folder"},
    "proxy/review/flips.py": {"Tally"},
    # Made in great numbers while a policy is read.
    "proxy/policy/reading/lexeme.py": {"Lexeme"},
}
"""Classes that are not frozen, by module."""


@pytest.mark.parametrize("name", NAMES)
def test_a_module_has_at_most_300_lines(name: str) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= 300


@pytest.mark.parametrize("name", NAMES)
def test_a_function_has_at_most_40_lines_and_6_arguments(name: str) -> None:
    for function in functions(modules()[name]):
        assert (function.end_lineno or 0) - function.lineno < 40, function.name
        given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        assert len([each for each in given if each.arg not in ("self", "cls")]) <= 6, function.name


def test_functions_are_short_on_the_whole() -> None:
    assert median((each.end_lineno or 0) - each.lineno + 1 for tree in modules().values() for each in functions(tree)) <= 10


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_named_for_everything(name: str) -> None:
    # `base` is a clause of the policy language.
    clauses = {"base", "Base"} if name.startswith("proxy/policy/") else set()
    nodes = [node.name for node in ast.walk(modules()[name]) if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
    for each in {*re.split(r"[/.]", name), *nodes} - clauses:
        assert not set(re.findall(r"[A-Z]?[a-z]+", each.lower())) & {"util", "utils", "common", "helper", "helpers", "base", "manager"}, (
            each
        )


@pytest.mark.parametrize("name", NAMES)
def test_public_names_have_a_docstring(name: str) -> None:
    tree = modules()[name]
    assert ast.get_docstring(tree) or not tree.body
    assert [each for each in _undocumented(tree) if each] == []


@pytest.mark.parametrize("name", NAMES)
def test_values_are_frozen_slotted_and_keyword_only(name: str) -> None:
    for node in [each for each in ast.walk(modules()[name]) if isinstance(each, ast.ClassDef)]:
        for decorator in node.decorator_list:
            written = ast.unparse(decorator).removeprefix("dataclasses.")
            if written.startswith("dataclass") and not OTHERWISE.get(name, set()) & {"*", node.name}:
                assert {"frozen=True", "slots=True"} <= set(re.findall(r"\w+=True", written)), node.name
                assert "kw_only=True" in written or node.name in {"Grammar", "_Attempt", "_Node"}, node.name


def test_every_exception_is_still_one() -> None:
    for name, classes in OTHERWISE.items():
        defined = [node for node in ast.walk(modules()[name]) if isinstance(node, ast.ClassDef) and node.name in classes]
        assert len(defined) == len(classes - {"*"}), name
        assert not any(ast.unparse(decorator).endswith(VALUE) for node in defined for decorator in node.decorator_list), name


@pytest.mark.parametrize("name", NAMES)
def test_nothing_happens_when_a_module_is_loaded(name: str) -> None:
    for node in modules()[name].body:
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant) or name == "proxy/__main__.py", f"line {node.lineno}"
        elif isinstance(node, ast.If):
            assert ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"), f"line {node.lineno}"
        else:
            assert not isinstance(node, (ast.For, ast.While, ast.With, ast.Try)), f"line {node.lineno}"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "proxy/settings.py"])
def test_only_settings_reads_the_environment(name: str) -> None:
    for node in ast.walk(modules()[name]):
        assert not (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")), f"line {node.lineno}"
        assert not (isinstance(node, ast.ImportFrom) and node.module == "os" and {each.name for each in node.names} & {"environ", "getenv"})


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("proxy/wire/")])
def test_only_wire_spells_the_fields_of_centrifugo(name: str) -> None:
    spelled = {node.value for node in ast.walk(modules()[name]) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not spelled & {"b64data", "b64info", "override", "force_recovery", "subs", "expire_at"}


def _undocumented(parent: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in parent.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield node.name
            if isinstance(node, ast.ClassDef):
                yield from _undocumented(node)
