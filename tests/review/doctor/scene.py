"""A policy, the configurations that suit it, and ways to break them."""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.review.doctor.document import Document, read
from proxy.review.doctor.examine import examine
from proxy.review.doctor.findings import Finding
from proxy.review.doctor.generation import generate
from proxy.review.doctor.vocabulary import Version

SERVICE = "http://127.0.0.1:8010"
ORIGIN = "https://app.example.org"
TOKEN, API = "token-" * 8, "api-" * 10
POLICY = """language 1;
identity idp {
  jwt from header "authorization";
  issuer "https://id.example.org"; audience "realtime"; algorithms HS256; keys env IDP_KEY;
  user = claims.sub;
  meta = {"role": claims.role};
}
meta { role: string }
fact account(uid: string) -> bool { python "tests.facts.functions:flag"; cache 10s; timeout 150ms; invalidate on "account:{uid}"; }
connect { allow; expire 1h; }
channel "chat:{room}" {
  allow subscribe, presence, history when meta.role != "guest" && account(user) expire 5m;
  allow publish when meta.role == "editor";
}
channel "news:{topic}" {
  allow subscribe expire 5m;
  allow presence, history when meta.role == "editor";
}
channel "inbox#{uid}" { allow subscribe, history when vars.uid == user expire 5m; }
rpc "rename" { allow; answer = true; }
"""

DROP = object()
"""In place of a value: the key goes."""

Config = dict[str, Any]


def policy(text: str = POLICY) -> Policy:
    """Load a policy that has no errors."""
    loaded = load({"a.policy": text.encode()})
    assert loaded.policy is not None, loaded.findings
    return loaded.policy


def good(version: Version, text: str = POLICY) -> Config:
    """The configuration that the policy needs, with secrets in it."""
    made = dict(generate(policy(text), SERVICE, [ORIGIN], version))
    if version == 6:
        return changed(made, {"client.token.hmac_secret_key": TOKEN, "http_api.key": API})
    return changed(made, {"token_hmac_secret_key": TOKEN, "api_key": API})


def changed(config: Config, changes: Mapping[str, object]) -> Config:
    """A copy in which some keys, such as `channel.namespaces[0].presence`, are set or dropped."""
    made = copy.deepcopy(config)
    for path, value in changes.items():
        node: Any = made
        *way, last = [int(step) if step.isdecimal() else step for step in re.findall(r"[^.\[\]]+", path)]
        for step in way:
            node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
        if value is DROP:
            del node[last]
        elif isinstance(node, list) and last == len(node):
            node.append(value)
        else:
            node[last] = value
    return made


def document(config: object, name: str = "centrifugo.json") -> Document:
    """A configuration as a file."""
    return read(name, json.dumps(config, indent=1).encode())


def found(config: object, text: str = POLICY, chosen: Version | None = None, given: Mapping[str, str] | None = None) -> Sequence[Finding]:
    """What the doctor finds."""
    return examine(document(config), policy(text), chosen, given)


def ids(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """The findings by their ids and keys."""
    return [(each.id, each.key) for each in findings]
