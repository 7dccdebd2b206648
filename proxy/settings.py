"""What an operator sets: environment variables with the prefix `CENTRIGATE_`, and the same names in a `.env` file.

The process environment wins over the file. This is the only module that reads either; everything else is given values.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from proxy.errors import SetupFault

PREFIX: Final = "CENTRIGATE_"
"""Begins the name of every setting; a variable that has it and is no setting is taken for a misspelling."""
FILE: Final = ".env"
"""Where settings stand besides the environment, relative to the working directory; it need not exist."""
SHORTEST: Final = 32
"""Bytes of a secret; a key shorter than the hash it is used with (HS256, RFC 7518 section 3.2) is easier to guess than it looks."""

_MAKE: Final = "make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd]?)")


def _strong(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if len(value.encode()) < SHORTEST:
        message = f"is shorter than {SHORTEST} bytes: {_MAKE}"
        raise ValueError(message)
    return secret


def _header(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        message = "travels in a header, so it must be printable ASCII without spaces"
        raise ValueError(message)
    return secret


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value)
    if found is None:
        message = "must be a duration such as 30s, 10m or 24h"
        raise ValueError(message)
    return int(found[1]) * _UNITS[found[2]]


def _list(value: object) -> object:
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != value or not parts.hostname or "@" in parts.netloc:
        message = "must be origins such as https://app.example.org, comma separated, without a path and without *"
        raise ValueError(message)
    return value.lower()


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        message = "must be an address such as http://127.0.0.1:8000, without user, query and fragment"
        raise ValueError(message)
    return value.rstrip("/")


def _store(url: SecretStr) -> SecretStr:
    if not re.fullmatch(r"sqlite:///[^?#]+|postgresql://[^/]+/.+", url.get_secret_value()):
        message = "must be a file such as sqlite:///var/centrigate.db, or a database such as postgresql://user:password@host/name"
        raise ValueError(message)
    return url


def _consumed(url: SecretStr) -> SecretStr:
    if not re.fullmatch(
        r"postgresql://[^/?#]+/[^/?#]+\?table=[a-z_][a-z0-9_]{0,62}&partitions=[1-9][0-9]{0,3}"
        r"|rediss?://[^/?#]+(/[0-9]+)?\?stream=[^&?#]+&group=[^&?#]+",
        url.get_secret_value(),
    ):
        message = "must be postgresql://user:password@host/name?table=centrifugo_outbox&partitions=1 or redis://host:6379/0?stream=NAME&group=NAME"
        raise ValueError(message)
    return url


def _target(value: str) -> str:
    if not re.fullmatch(r"(?:grpcs://)?(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}", value):
        message = "must be an address such as 127.0.0.1:10000, or with TLS grpcs://centrifugo.example.org:10000"
        raise ValueError(message)
    return value


Secret = Annotated[SecretStr, AfterValidator(_strong)]
HookSecret = Annotated[SecretStr, AfterValidator(_strong), AfterValidator(_header)]
Seconds = Annotated[int, BeforeValidator(_seconds)]
Algorithm = Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_list)]
Address = Annotated[str, AfterValidator(_address)]
Target = Annotated[str, AfterValidator(_target)]
StoreUrl = Annotated[SecretStr, AfterValidator(_store)]
HandOver = Annotated[SecretStr, AfterValidator(_consumed)]


class Settings(BaseSettings):
    """Everything that can be set, validated; secrets mask themselves. Times are whole seconds, sizes bytes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    policies: Path = Field(default=Path("policies"), description="Folder of the policy.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8010, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    hook_secret: HookSecret = Field(description="Secret that Centrifugo sends in the header `X-Centrigate-Hook-Secret`; at least 32 bytes.")
    hook_secret_previous: HookSecret | None = Field(default=None, description="A second hook secret that is accepted, during a rotation.")
    centrifugo_url: Address = Field(default="http://127.0.0.1:8000", description="Address of Centrifugo's HTTP server API.")
    centrifugo_api_key: HookSecret = Field(description="Key of Centrifugo's server API (its `http_api.key`); at least 32 bytes.")
    centrifugo_grpc: Target | None = Field(
        default=None,
        description="Address of Centrifugo's gRPC server API, used in place of HTTP: `127.0.0.1:10000`, or with TLS `grpcs://HOST:PORT`.",
    )
    store_url: StoreUrl = Field(
        default=SecretStr("sqlite:///var/centrigate.db"),
        description="Where durable publications wait: `sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/NAME`.",
    )
    hand_over: HandOver | None = Field(
        default=None,
        description="Where [Centrifugo itself takes](publishing.md#hand-over) durable publications, in place of the outbox.",
    )
    token_key: Secret = Field(
        description="Key that [tokens](tokens.md#keys) are signed with: a secret of at least 32 bytes, or a private key in PEM form.",
    )
    token_previous_key: Secret | None = Field(
        default=None, description="A second token key that signs nothing but is published and known to `token verify`, during a rotation."
    )
    token_algorithm: Algorithm | None = Field(
        default=None, description="How tokens are signed, such as `RS512`; else HS256, RS256, or what the curve of the key says."
    )
    token_ttl: Seconds = Field(default=600, ge=1, description="How long a connection token is valid, such as `10m`.")
    subscription_token_ttl: Seconds = Field(default=60, ge=1, description="How long a subscription token is valid.")
    origins: Origins = Field(default=(), description="Origins of the pages that may ask for tokens, comma separated.")
    max_body: int = Field(default=1 << 20, ge=1024, description="Longest body that is read, in bytes; a longer one is answered 413.")
    max_in_flight: int = Field(default=1024, ge=1, description="Hooks in work at once; above it they get a temporary error.")
    max_wait: Seconds = Field(
        default=1,
        ge=1,
        description="How long the oldest call in work may have waited; above it what cannot be answered at once gets that error.",
    )
    redis_url: SecretStr | None = Field(
        default=None, description="Redis through which several instances act as one: `redis://:PASSWORD@HOST:6379/0`."
    )
    decision_log: str | None = Field(
        default=None, description="File that decisions are written to, one JSON object a line; `-` is standard output."
    )
    shadow_policies: Path | None = Field(
        default=None, description="Folder of a second policy, which is asked what it would have decided and decides nothing."
    )
    policy_key: SecretStr | None = Field(
        default=None, description="Public key (Ed25519, PEM) that policies must be signed with, each file of them; else none need be."
    )
    policy_edition: Path = Field(
        default=Path("var/policy-edition"), description="File that remembers the last signed edition, so that no earlier one is taken."
    )
    refresh_grace: Seconds = Field(
        default=120,
        ge=0,
        description="How long a connection or subscription is prolonged while its refresh cannot be decided; `0` is not at all.",
    )
    explain_to_clients: bool = Field(default=False, description="Tell clients the reason of a refusal (development only).")


def read(file: str | Path = FILE) -> Settings:
    """Read and validate all settings; raises `SetupFault` that names every variable that is missing, wrong or unknown."""
    faults = list(_unknown(variables(file)))
    try:
        settings = Settings(_env_file=file)  # type: ignore[call-arg, unused-ignore]  # known to pydantic's mypy plugin only
    except ValidationError as error:
        faults += [_sentence(details) for details in error.errors(include_input=False, include_url=False)]
    if faults:
        raise SetupFault("\n".join(faults))
    return settings


def variables(file: str | Path = FILE) -> Mapping[str, str]:
    """Give all variables of the environment and the file, for the names that a policy mentions; it has no other way to them.

    Raises `SetupFault` for a file that is no text.
    """
    try:
        written = dotenv_values(file)
    except UnicodeDecodeError:
        message = f"{file} is not UTF-8 text"
        raise SetupFault(message) from None
    return {name: value for name, value in written.items() if value is not None} | dict(os.environ)


def line(name: str, file: str | Path = FILE) -> int:
    """Give the line of the file that sets a variable, 1 where none does."""
    path = Path(file)
    written = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    sets = re.compile(rf"\s*(?:export\s+)?{re.escape(name)}\s*=")
    return next((number for number, text in enumerate(written, 1) if sets.match(text)), 1)


def names() -> Mapping[str, str]:
    """Give the variable of each setting with its description."""
    return {PREFIX + name.upper(): str(field.description) for name, field in Settings.model_fields.items()}


def _unknown(given: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(given):
        field = name.lower().removeprefix(PREFIX.lower())
        if name.upper().startswith(PREFIX) and field not in Settings.model_fields:
            near = difflib.get_close_matches(field, Settings.model_fields, n=1)
            yield f"{name} is no setting" + (f": did you mean {PREFIX}{near[0].upper()}?" if near else "")


def _sentence(details: ErrorDetails) -> str:
    field = str(details["loc"][0])
    name = PREFIX + field.upper()
    if details["type"] == "missing":
        return f"{name} is not set: {_MAKE}"
    cause = details.get("ctx", {}).get("error")
    return f"{name} {cause}" if cause else f"{name}: {details['msg']}"
