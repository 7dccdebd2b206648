"""The same decisions written by hand in Python, as short and quick as is natural; they look at nothing but the sample's chat channels."""

import json
import re
from typing import Any, Final

import jsonschema_rs

from bench.sample import SCHEMA, Facts
from proxy.policy.decision import Allow, Deny, Limit, Request

DOC: Final = re.compile(r"""chat:doc-([!"$%'-)+\-.0-9;-~]+)""")
VALIDATOR: Final = jsonschema_rs.Draft202012Validator(json.loads(SCHEMA), validate_formats=True)
FILE: Final = "teams00000.policy"


class Author:
    """Decides as the sample policy of that revision does."""

    def __init__(self, revision: str) -> None:
        self.revision = revision

    def decide(self, request: Request, facts: Facts) -> Allow | Deny:
        """Allow or refuse; gives a decision equal to the policy's."""
        user, channel = request.user, request.channel
        if not user:
            return Deny(reason="no_identity", revision=self.revision)
        found = DOC.fullmatch(channel) if channel and len(channel) <= 255 else None
        if found is None:
            return Deny(reason="no_channel", revision=self.revision)
        key: tuple[object, ...] = ("account", user)
        account = facts[key]
        read = {key: account}
        me: Any = account.value
        if me is None:
            return Deny(reason="unknown_account", rule="deny/unknown_account", at="head.policy:17", revision=self.revision, facts=read)
        if me["suspended"]:
            return Deny(reason="suspended", rule="deny/suspended", at="head.policy:18", revision=self.revision, facts=read)
        key = ("doc_member", found[1], user)
        read[key] = facts[key]
        member: Any = read[key].value
        return self._publish(request, member, read) if request.op == "publish" else self._subscribe(member, read)

    def _subscribe(self, member: dict[str, str] | None, read: Facts) -> Allow | Deny:
        if member is None:
            return Deny(reason="no_rule", revision=self.revision, facts=read)
        return Allow(
            rule="chat:doc-{doc}/subscribe/1",
            at=f"{FILE}:4",
            revision=self.revision,
            facts=read,
            info={"role": member["role"]},
            expire_ms=300_000,
        )

    def _publish(self, request: Request, member: dict[str, str] | None, read: Facts) -> Allow | Deny:
        data, user, channel = request.data, request.user or "", request.channel or ""
        rule, at = "chat:doc-{doc}/publish/editors", f"{FILE}:7"
        if request.ambiguous or not VALIDATOR.is_valid(data):
            return Deny(reason="schema", rule=rule, at=at, revision=self.revision, facts=read)
        if member is None or member["role"] not in ("editor", "owner"):
            return Deny(reason="no_rule", revision=self.revision, facts=read)
        assert isinstance(data, dict)
        return Allow(
            rule=rule,
            at=at,
            revision=self.revision,
            facts=read,
            data={**data, "author": user, "at": request.timestamp_ms},
            tags={**(request.tags or {}), "kind": data["type"]},
            limit=Limit(rule=rule, rate=10, per_ms=1000, burst=20, key=(user, channel)),
        )
