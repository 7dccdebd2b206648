import re

from proxy.cli.config import generate
from proxy.review.doctor.findings import KINDS, as_text
from tests.docs import pages
from tests.review.doctor.scene import changed, found, good

PAGE = pages.page("doctor")


def test_the_table_has_every_kind_of_finding_as_it_is() -> None:
    rows = pages.table(PAGE, "id", "severity", "what happens")
    assert rows == [[f"`{id_}`", kind.severity, kind.meaning] for id_, kind in KINDS.items()]


def test_the_example_is_what_the_doctor_says() -> None:
    (example,) = re.findall(r"```\n(centrifugo-config\.json:\d+: .*?)```", PAGE, re.DOTALL)
    config = changed(good(6), {"channel.namespaces[1].presence": True, "channel.namespaces[1].allow_presence_for_subscriber": True})
    told = as_text(found(config), "centrifugo-config.json")
    assert re.sub(r":\d+:", ":", example) == re.sub(r":\d+:", ":", told).replace("news:{topic}", "news:{topic*}")


def test_generate_is_described() -> None:
    assert generate.__doc__
    assert {"--for", "--service", "--origin"} <= {option for code in pages.code(PAGE) for option in re.findall(r"--[a-z]+", code)}
