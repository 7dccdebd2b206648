import json
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.errors import SetupFault
from proxy.stores.seal import SIGNATURE, Seal, private, public, sign

FILES = {"a.policy": b"language 1;", "schemas/s.json": b"{}"}
KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    return Seal(KEY.public_key(), tmp_path / "state" / "edition")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policies"
    made.mkdir()
    (made / SIGNATURE).write_bytes(sign(FILES, 7, KEY))
    return made


def test_what_is_signed_is_admitted_again_and_again(seal: Seal, folder: Path) -> None:
    assert seal.admit(folder, FILES) == 7
    assert seal.admit(folder, dict(reversed(FILES.items()))) == 7


def test_an_older_edition_is_refused_even_after_a_new_start(seal: Seal, folder: Path, tmp_path: Path) -> None:
    seal.admit(folder, FILES)
    (folder / SIGNATURE).write_bytes(sign(FILES, 6, KEY))
    for each in (seal, Seal(KEY.public_key(), tmp_path / "state" / "edition")):
        with pytest.raises(SetupFault, match="holds edition 6, but 7 was in force already"):
            each.admit(folder, FILES)
    (folder / SIGNATURE).write_bytes(sign(FILES, 8, KEY))
    assert seal.admit(folder, FILES) == 8


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({**FILES, "b.policy": b""}, "b.policy is not signed"),
        ({"a.policy": FILES["a.policy"]}, "schemas/s.json is signed but not there"),
        ({**FILES, "a.policy": b"language 1; "}, "a.policy is not what was signed"),
    ],
)
def test_partly_signed_is_not_signed(seal: Seal, folder: Path, files: dict[str, bytes], complaint: str) -> None:
    with pytest.raises(SetupFault, match=complaint):
        seal.admit(folder, files)


def test_unsigned_is_refused(seal: Seal, tmp_path: Path) -> None:
    with pytest.raises(SetupFault, match=r"there is no .*signature.json, and only signed policies are admitted"):
        seal.admit(tmp_path, FILES)


def test_another_key_or_a_changed_edition_is_refused(seal: Seal, folder: Path) -> None:
    signed = sign(FILES, 7, KEY)
    for forged in (sign(FILES, 7, Ed25519PrivateKey.generate()), signed.replace(b'"edition": 7', b'"edition": 9')):
        (folder / SIGNATURE).write_bytes(forged)
        with pytest.raises(SetupFault, match="is not by the key that is set"):
            seal.admit(folder, FILES)


@pytest.mark.parametrize(
    "text",
    [b"", b"no json", b"[]", b"{}", b'{"edition": 1}', b"[" * 100_000, b"\xff", b'{"edition": 1, "files": {}, "signature": "!"}']
    + [json.dumps({"edition": edition, "files": files, "signature": ""}).encode() for edition, files in (("1", {}), (True, {}), (1, []))],
)
def test_garbage_is_no_signature(seal: Seal, folder: Path, text: bytes) -> None:
    (folder / SIGNATURE).write_bytes(text)
    with pytest.raises(SetupFault, match="is no signature file"):
        seal.admit(folder, FILES)


def test_a_state_that_cannot_be_read_or_written_stops_it(folder: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("seven")
    with pytest.raises(SetupFault, match="cannot be read"):
        Seal(KEY.public_key(), state).admit(folder, FILES)
    with pytest.raises(SetupFault, match="cannot be"):
        Seal(KEY.public_key(), state / "below").admit(folder, FILES)


def test_a_state_that_cannot_be_made_stops_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / ".edition.new").mkdir()
    with pytest.raises(SetupFault, match="cannot be written"):
        Seal(KEY.public_key(), tmp_path / "state" / "edition").admit(folder, FILES)


def test_keys_that_openssl_makes_are_read(tmp_path: Path) -> None:
    pem = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True).stdout
    (file := tmp_path / "key.pem").write_bytes(pem)
    shown = subprocess.run(["openssl", "pkey", "-pubout"], input=pem, capture_output=True, check=True).stdout
    (tmp_path / SIGNATURE).write_bytes(sign(FILES, 1, private(file)))
    assert Seal(public(shown.decode()), tmp_path / "state").admit(tmp_path, FILES) == 1


@pytest.mark.parametrize("kind", [["-algorithm", "RSA"], ["-algorithm", "ed25519", "-aes256", "-pass", "pass:x"]])
def test_other_keys_are_refused(kind: list[str], tmp_path: Path) -> None:
    pem = subprocess.run(["openssl", "genpkey", *kind], capture_output=True, check=True).stdout
    for text in (pem, b"garbage"):
        (file := tmp_path / "key.pem").write_bytes(text)
        with pytest.raises(SetupFault, match=rf"^{re.escape(str(file))} is no Ed25519 private key"):
            private(file)
    with pytest.raises(SetupFault, match="no Ed25519 public key"):
        public(pem.decode())
