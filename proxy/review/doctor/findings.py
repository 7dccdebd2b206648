"""What the doctor says: findings, each of a known kind, and the three ways to print them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from proxy.review.doctor.document import Path

Severity = Literal["error", "security", "warning"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of finding: how bad it is, and what happens because of it. An error: clients are refused that the policy lets in."""

    severity: Severity
    meaning: str


KINDS: Final[Mapping[str, Kind]] = {
    "insecure-switch": Kind(severity="security", meaning="a switch for development takes a lock away"),
    "user-from-header": Kind(severity="security", meaning="whoever sends the header is that user, because no hook is asked"),
    "anonymous-connect": Kind(severity="security", meaning="without the connect hook everybody is connected as the anonymous user"),
    "open-api": Kind(severity="security", meaning="the server API takes commands from everybody who reaches it"),
    "foreign-keys": Kind(severity="security", meaning="tokens of somebody else connect and subscribe, and the policy is not asked"),
    "weak-secret": Kind(severity="security", meaning="a secret of less than 32 bytes can be guessed, and with it tokens or calls forged"),
    "any-origin": Kind(severity="security", meaning="every web page may connect with the cookies of its visitor"),
    "forwardable-secret": Kind(severity="security", meaning="a client that sends this header overwrites the hook secret"),
    "unchecked-certificate": Kind(severity="security", meaning="whoever is on the way may answer the hook"),
    "foreign-hook": Kind(severity="security", meaning="something else than the policy is asked"),
    "stream-hook": Kind(severity="security", meaning="a subscribe stream is asked in place of the subscribe hook"),
    "flag-grants": Kind(severity="security", meaning="a flag of Centrifugo allows what the policy should decide, because no hook is asked"),
    "user-limited-channels": Kind(severity="security", meaning="users subscribe to channels that name them after # past the hook"),
    "personal-channel": Kind(severity="security", meaning="every user is subscribed to a channel that the policy was not asked about"),
    "presence-for-everybody": Kind(severity="security", meaning="clients that are not subscribed see who is"),
    "presence-wider": Kind(severity="security", meaning="all subscribers see who is there, and the policy lets only some of them"),
    "history-for-everybody": Kind(severity="security", meaning="clients that are not subscribed read what was published"),
    "history-wider": Kind(severity="security", meaning="all subscribers read what was published, and the policy lets only some of them"),
    "recovery-wider": Kind(
        severity="security", meaning="who subscribes can ask for all that is kept, and the policy does not give history"
    ),
    "sub-refresh-hook-missing": Kind(
        severity="security", meaning="a subscription with an end is never asked about, and an expired token makes it permanent"
    ),
    "meta-not-sent": Kind(severity="security", meaning="rules of the policy read an empty meta"),
    "secret-missing": Kind(severity="error", meaning="the service refuses the hook with 401"),
    "hook-missing": Kind(severity="error", meaning="nobody is allowed what the policy allows, because Centrifugo does not ask"),
    "namespace-missing": Kind(severity="error", meaning="channels of the policy are unknown to Centrifugo (error 102)"),
    "refresh-hook-missing": Kind(
        severity="error", meaning="connections with an end are not asked about, and browsers are cut off for good"
    ),
    "endpoint-missing": Kind(severity="error", meaning="Centrifugo does not start"),
    "map-behind-hook": Kind(severity="error", meaning="a subscription to a map channel fails (error 107) after the hook allowed it"),
    "header-not-sent": Kind(severity="error", meaning="the policy does not see the header by which clients are known"),
    "unknown-key": Kind(severity="error", meaning="this version of Centrifugo ignores the key"),
    "repeated-key": Kind(severity="error", meaning="the key stands twice and only the last one counts"),
    "wrong-kind": Kind(severity="error", meaning="Centrifugo does not start, or reads something else"),
    "bare-duration": Kind(severity="error", meaning="a number without a unit is nanoseconds, or keeps Centrifugo from starting"),
    "variable-missing": Kind(severity="error", meaning="Centrifugo does not start, or sends the header as it is written here"),
    "presence-missing": Kind(severity="warning", meaning="the policy allows presence, but Centrifugo refuses it"),
    "history-missing": Kind(severity="warning", meaning="the policy allows history, but Centrifugo refuses it"),
    "other-kind": Kind(severity="warning", meaning="a namespace holds streams or maps, so some rules of the policy are never asked"),
    "connect-hook-missing": Kind(severity="warning", meaning="only clients with a token of the token endpoint can connect"),
    "origins-missing": Kind(severity="warning", meaning="Centrifugo refuses every browser"),
    "timeout-too-short": Kind(severity="warning", meaning="the hook ends before the facts of the policy must have come"),
    "timeout-too-long": Kind(severity="warning", meaning="the JavaScript client gives up after 5 s and asks again"),
    "ends-in-outage": Kind(severity="warning", meaning="an outage of the service ends what Centrifugo would have let go on"),
    "repeated-effect": Kind(severity="warning", meaning="Centrifugo may send the message twice"),
    "hook-open": Kind(severity="security", meaning="the service answers whoever calls its hooks"),
    "foreign-token": Kind(severity="security", meaning="Centrifugo takes tokens that somebody else signed"),
    "service-away": Kind(severity="error", meaning="the service does not answer as it should"),
    "centrifugo-away": Kind(severity="error", meaning="Centrifugo does not answer as it should"),
    "hook-secret-refused": Kind(severity="error", meaning="the service that runs has another hook secret"),
    "hook-fails": Kind(severity="error", meaning="Centrifugo gets no usable answer from the service, so clients come again and again"),
    "api-key-refused": Kind(severity="error", meaning="the service cannot publish, disconnect or see who is there"),
    "token-refused": Kind(severity="error", meaning="clients cannot use the tokens that are minted here"),
    "other-version": Kind(severity="warning", meaning="the file is for another version than the one that runs"),
    "clock-skew": Kind(severity="warning", meaning="tokens end too early or too late"),
    "slow-hooks": Kind(severity="warning", meaning="hooks take so long that some will end in the timeout"),
}
"""Every kind of finding; those from `hook-open` on, and some of the others, come from a visit to what runs."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to change: the exact key as it stands in the file (or the variable), its line if known, and what belongs there."""

    id: str
    key: str
    found: str
    expected: str
    advice: str
    line: int | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.id].severity

    @property
    def grave(self) -> bool:
        """Whether the command fails for it."""
        return self.severity != "warning"


def written(path: Path) -> str:
    """A key as people write it: `channel.namespaces[0].presence`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def as_text(findings: Sequence[Finding], file: str) -> str:
    """The findings for people."""
    lines = []
    for each in findings:
        place = f"{file}:{each.line}" if each.line else file
        lines.append(f"{place}: {each.severity} {each.id}: {each.key}")
        lines.append(f"  {KINDS[each.id].meaning}")
        lines.append(f"  found {each.found}, expected {each.expected}: {each.advice}")
    return "".join(f"{line}\n" for line in lines)


def as_json(findings: Sequence[Finding], file: str) -> str:
    """The findings for programs: `{"file", "findings": [{id, severity, key, line, found, expected, meaning, advice}]}`."""
    told = [{**dataclasses.asdict(each), "severity": each.severity, "meaning": KINDS[each.id].meaning} for each in findings]
    return json.dumps({"file": file, "findings": told}, ensure_ascii=False, indent=2)


def as_sarif(findings: Sequence[Finding], file: str) -> str:
    """The findings for code hosts, as SARIF 2.1.0."""
    rules = [{"id": id_, "shortDescription": {"text": kind.meaning}} for id_, kind in KINDS.items()]
    results = [
        {
            "ruleId": each.id,
            "level": "error" if each.grave else "warning",
            "message": {"text": f"{each.key}: found {each.found}, expected {each.expected}: {each.advice}"},
            "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": file}, **({"region": {"startLine": each.line}} if each.line else {})}}
            ],
        }
        for each in findings
    ]
    run = {"tool": {"driver": {"name": "centrigate doctor", "rules": rules}}, "results": results}
    return json.dumps({"version": "2.1.0", "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "runs": [run]}, indent=2)
