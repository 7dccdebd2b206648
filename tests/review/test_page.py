"""The coverage as a page, read by a parser of HTML."""

from html.parser import HTMLParser

from proxy.policy.load import load
from proxy.review.page import page
from proxy.review.trials import run

POLICY = """language 1;
fact account(uid: string) -> { ok: bool }? { python "app:account"; timeout 50ms; }
deny lost when account(user) == null;
\tchannel "<script>alert(1)</script>" { allow subscribe when user == "<b>"; }
"""
TESTS = 'language 1;\ntest "t" { as "1" { deny subscribe "a"; } }\n'


class Read(HTMLParser):
    """The rows of the tables, as their texts; `tags` are all that there are, `marked` the numbers of the marked rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.marked: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self._gap = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found["href"] or ""] if "href" in found else []
        if tag == "tr":
            self.rows.append([])
            self._gap = "class" in found
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and data.strip("\n"):
            self.rows[-1][-1] += data
            if self._gap and len(self.rows[-1]) == 1:
                self.marked.append(data)


def made(policy: str = POLICY, **more: str) -> Read:
    files = {"p.policy": policy.encode(), "t.test.policy": TESTS.encode(), **{name: text.encode() for name, text in more.items()}}
    loaded = load(files).policy
    assert loaded
    return Read(page(files, run(loaded, files).coverage))


def test_each_line_stands_beside_what_was_tried_of_it() -> None:
    found = made()
    assert [row for row in found.rows if row[:1] != ["Line"]] == [
        ["1", "language 1;", ""],
        ["2", POLICY.splitlines()[1], "account: read 0, failed 0 never fails"],
        ["3", POLICY.splitlines()[2], "deny/lost: decides 0 never decidesaccount(user) == null: true 0, false 0, error 0 never evaluated"],
        [
            "4",
            "    " + POLICY.splitlines()[3].strip(),
            '<script>alert(1)</script>/subscribe/1: decides 0 never decidesuser == "<b>": true 0, false 0, error 0 never evaluated',
        ],
    ]
    assert found.marked == ["2", "3", "4"]


def test_what_a_policy_says_is_no_markup() -> None:
    assert not {"script", "b"} & made().tags


def test_each_file_is_shown_but_tests_and_can_be_jumped_to() -> None:
    found = made(**{"a b<.policy": "language 1;\r\n"})
    assert found.ids == ["file-a_20_b_3c__2e_policy", "file-p_2e_policy"]
    assert found.links == [f"#{each}" for each in found.ids]


def test_what_was_tried_is_not_marked() -> None:
    policy = 'language 1;\nchannel "a" { allow subscribe when user != "1"; }\n'
    files = {
        "p.policy": policy.encode(),
        "t.test.policy": b'language 1;\ntest "t" { as "1" { deny subscribe "a"; } as "2" { allow subscribe "a"; } }\n',
    }
    loaded = load(files).policy
    assert loaded
    text = page(files, run(loaded, files).coverage)
    assert Read(text).marked == []
    assert "<strong>100 %</strong> tried: 3 of 3" in text
    assert ": all tried</li>" in text
