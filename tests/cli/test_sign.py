import json
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner, Result

from proxy.cli.sign import sign
from proxy.stores import folder
from proxy.stores.seal import SIGNATURE, Seal

KEY = Ed25519PrivateKey.generate()


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(sign)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "key.pem").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.policy").write_text("language 1;\n")
    return tmp_path


def options(place: Path) -> tuple[object, ...]:
    return ("--key", place / "key.pem", "--policies", place / "policies")


def test_what_is_signed_is_admitted_and_each_edition_is_later(place: Path) -> None:
    policies, seal = place / "policies", Seal(KEY.public_key(), place / "edition")
    for arguments, edition in (((), 1), ((), 2), (("--edition", 7), 7), ((), 8)):
        result = run(*options(place), *arguments)
        assert (result.exit_code, result.stdout) == (0, f"{policies / SIGNATURE} signs edition {edition}\n")
        assert seal.admit(policies, folder.read(policies)[0]) == edition


@pytest.mark.parametrize("text", ["{", "{}", '{"edition": "x"}', "[]"])
def test_a_file_that_holds_no_edition_is_not_counted_on(place: Path, text: str) -> None:
    (place / "policies" / SIGNATURE).write_text(text)
    result = run(*options(place))
    assert (result.exit_code, "is no signature file" in result.stderr) == (2, True)
    assert run(*options(place), "--edition", 3).exit_code == 0
    assert json.loads((place / "policies" / SIGNATURE).read_text())["edition"] == 3


def test_what_cannot_be_signed_is_said(place: Path) -> None:
    (place / "other.pem").write_text("no key")
    (place / "odd" / "folder.policy").mkdir(parents=True)
    for arguments, said in (
        (("--key", place / "none.pem", "--policies", place / "policies"), "none.pem cannot be used: No such file"),
        (("--key", place / "other.pem", "--policies", place / "policies"), "other.pem is no Ed25519 private key"),
        (("--key", place / "key.pem", "--policies", place / "nowhere"), "this is no folder"),
        (("--key", place / "key.pem", "--policies", place / "odd"), "this is no file"),
    ):
        result = run(*arguments)
        assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
