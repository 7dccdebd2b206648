import json

from proxy.review.doctor.findings import KINDS, as_json, as_sarif, as_text, written
from tests.review.doctor.scene import changed, found, good
from tests.review.doctor.table import TABLE

BROKEN = changed(good(6), {"client.insecure": True, "channel.proxy.subscribe.timeout": "10s"})


def test_people_read_place_meaning_and_what_to_do() -> None:
    security, warning = found(BROKEN)
    assert as_text([security, warning], "c.json").splitlines() == [
        f"c.json:{security.line}: security insecure-switch: client.insecure",
        f"  {KINDS['insecure-switch'].meaning}",
        f"  found true, expected nothing: {security.advice}",
        f"c.json:{warning.line}: warning timeout-too-long: channel.proxy.subscribe.timeout",
        f"  {KINDS['timeout-too-long'].meaning}",
        '  found 10s, expected less than 5s: write "4s"',
    ]
    assert (security.grave, warning.grave) == (True, False)


def test_the_line_is_that_of_the_key() -> None:
    lines = json.dumps(BROKEN, indent=1).splitlines()
    security, warning = found(BROKEN)
    assert '"insecure": true' in lines[(security.line or 0) - 1]
    assert '"timeout": "10s"' in lines[(warning.line or 0) - 1]


def test_programs_read_every_member() -> None:
    told = json.loads(as_json(found(BROKEN), "c.json"))
    assert told["file"] == "c.json"
    assert set(told["findings"][0]) == {"id", "severity", "key", "line", "found", "expected", "meaning", "advice"}


def test_code_hosts_read_sarif() -> None:
    findings = found({**BROKEN, "nonsense": 1}, given={"CENTRIFUGO_NONSENSE": "1", "CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET": "x"})
    (run,) = json.loads(as_sarif(findings, "c.json"))["runs"]
    assert {each["level"] for each in run["results"]} == {"error", "warning"}
    assert {each["ruleId"] for each in run["results"]} <= {each["id"] for each in run["tool"]["driver"]["rules"]}
    places = [each["locations"][0]["physicalLocation"] for each in run["results"]]
    assert {"region" in place for place in places} == {True, False}
    assert {place["artifactLocation"]["uri"] for place in places} == {"c.json"}


def test_keys_are_written_as_people_write_them() -> None:
    assert written(("channel", "namespaces", 0, "name")) == "channel.namespaces[0].name"
    assert written(("port",)) == "port"


def test_no_secret_is_shown() -> None:
    secret = "short-secret"
    config = changed(good(6), {"client.token.hmac_secret_key": secret, "http_api.key": [secret], "http_api.kee": secret})
    findings = found(config)
    assert {each.id for each in findings} == {"weak-secret", "wrong-kind", "unknown-key"}
    assert secret not in as_text(findings, "c.json") + as_json(findings, "c.json")


def test_the_table_of_breaks_has_every_kind_that_a_file_can_show() -> None:
    visited = list(KINDS)[list(KINDS).index("hook-open") :]
    texts = {"repeated-key", "variable-missing"}
    assert {broken.id for broken in TABLE} | texts == set(KINDS) - set(visited)
