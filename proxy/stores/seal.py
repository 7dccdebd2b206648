"""Signed policies: a file beside them says what each of them holds, in which edition, and who says so (Ed25519, RFC 8032)."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from proxy.errors import SetupFault

SIGNATURE: Final = "signature.json"
"""The file in the policies folder that holds the signature."""

_LARGEST: Final = 1 << 20
_AGAIN: Final = "sign the policies again: centrigate sign"


def sign(files: Mapping[str, bytes], edition: int, key: Ed25519PrivateKey) -> bytes:
    """Write the signature file of these policy files; a later edition has a higher number."""
    said = {"edition": edition, "files": _hashes(files)}
    signature = base64.b64encode(key.sign(_canonical(said))).decode()
    return json.dumps({**said, "signature": signature}, indent=2).encode() + b"\n"


class Seal:
    """Admits only policies that are signed with `key`, all of them, and no edition before the last one that was admitted.

    `state` is the file that remembers the last edition across starts; it is made on the first.
    """

    def __init__(self, key: Ed25519PublicKey, state: Path) -> None:
        self._key = key
        self._state = state

    def admit(self, folder: Path, files: Mapping[str, bytes]) -> int:
        """Give the edition of the files of `folder`; raises `SetupFault` that says what is wrong."""
        edition, signed = self._said(folder)
        hashes = _hashes(files)
        for name in sorted(signed.keys() | hashes.keys()):
            if name not in signed:
                raise SetupFault(f"{folder / name} is not signed: take it away or {_AGAIN}")
            if name not in hashes:
                raise SetupFault(f"{folder / name} is signed but not there: bring it back or {_AGAIN}")
            if signed[name] != hashes[name]:
                raise SetupFault(f"{folder / name} is not what was signed: undo the change or {_AGAIN}")
        last = self._last()
        if edition < last:
            raise SetupFault(f"{folder} holds edition {edition}, but {last} was in force already: take the newer one, or {_AGAIN}")
        if edition > last:
            self._remember(edition)
        return edition

    def _said(self, folder: Path) -> tuple[int, Mapping[str, object]]:
        path = folder / SIGNATURE
        try:
            with path.open("rb") as file:
                document = json.loads(file.read(_LARGEST))
            edition, signed = document["edition"], document["files"]
            signature = base64.b64decode(document["signature"], validate=True)
        except OSError:
            raise SetupFault(f"there is no {path}, and only signed policies are admitted: {_AGAIN}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise SetupFault(f"{path} is no signature file: {_AGAIN}") from None
        if type(edition) is not int or type(signed) is not dict:
            raise SetupFault(f"{path} is no signature file: {_AGAIN}")
        try:
            self._key.verify(signature, _canonical({"edition": edition, "files": signed}))
        except InvalidSignature:
            raise SetupFault(f"the signature of {path} is not by the key that is set: {_AGAIN}, with the right key") from None
        return edition, signed

    def _last(self) -> int:
        try:
            return int(self._state.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except (OSError, ValueError):
            raise SetupFault(f"{self._state}, which holds the last edition of the policies, cannot be read: mend or remove it") from None

    def _remember(self, edition: int) -> None:
        fresh = self._state.with_name(f".{self._state.name}.new")
        try:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(str(edition), encoding="ascii")
            fresh.replace(self._state)
        except OSError as error:
            raise SetupFault(f"{self._state}, which holds the last edition of the policies, cannot be written: {error.strerror}") from None


def public(pem: str) -> Ed25519PublicKey:
    """Read the key that policies are checked with (PEM); raises `SetupFault`."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SetupFault("CENTRIGATE_POLICY_KEY is no Ed25519 public key in PEM form: openssl pkey -in key.pem -pubout prints it")
    return key


def private(file: Path) -> Ed25519PrivateKey:
    """Read the key that policies are signed with (PEM, without a password); raises `SetupFault`, and `OSError`."""
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SetupFault(f"{file} is no Ed25519 private key in PEM form without a password: openssl genpkey -algorithm ed25519 makes one")
    return key


def _hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _canonical(said: Mapping[str, object]) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
