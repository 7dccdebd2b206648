import json

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli.key import new
from proxy.gateway.keys import Keys
from proxy.policy.declared import Service, Variable


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(new)
    return CliRunner().invoke(app, arguments)


def known(lines: str, variable: str) -> tuple[Keys, str]:
    """The keys of a service whose variable is set as the second line says, and the key of the first."""
    key, hashed = (line.removeprefix(f"{variable}=") for line in lines.splitlines() if line.startswith(f"{variable}="))
    return Keys([Service(name="orders", key=Variable(name=variable), delivery="direct")], {variable: hashed}), key


@pytest.mark.parametrize(("arguments", "variable"), [((), "SERVICE_KEY"), (("orders",), "ORDERS_KEY"), (("_2",), "_2_KEY")])
def test_a_key_is_known_by_the_hash_beside_it(arguments: tuple[str, ...], variable: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 0
    keys, key = known(result.stdout, variable)
    assert keys.service(key) is not None
    assert len(key) >= 43
    assert f"service {(*arguments, 'service')[0]} {{ key env {variable};" in result.stdout


def test_every_key_is_another() -> None:
    assert len({run().stdout for _ in range(5)}) == 5


def test_programs_get_json() -> None:
    made = json.loads(run("orders", "--json").stdout)
    assert made["variable"] == "ORDERS_KEY"
    keys, key = known(f"ORDERS_KEY={made['key']}\nORDERS_KEY={made['hash']}", "ORDERS_KEY")
    assert keys.service(key) is not None


@pytest.mark.parametrize("name", ["Orders", "2", "a b", "a\n", "a-b", ""])
def test_a_name_that_no_service_has_is_refused(name: str) -> None:
    result = run(name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be the name of a service" in result.stderr
