import os
from pathlib import Path

import pytest

from proxy.stores import folder
from proxy.stores.folder import MAX_BYTES, read


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    path = tmp_path / "policies"
    (path / "schemas" / "deep").mkdir(parents=True)
    (path / "a.policy").write_bytes(b"language 1;")
    (path / "a.test.policy").write_bytes(b"tests")
    (path / "schemas" / "a.json").write_bytes(b"{}")
    (path / "schemas" / "deep" / "b.json").write_bytes(b"[]")
    return path


def complaints(path: Path) -> dict[str, str]:
    return {finding.at.file: finding.message for finding in read(path)[1]}


def test_policies_and_schemas_are_read_and_nothing_else(policies: Path) -> None:
    for other in ("README.md", ".hidden.policy", "schemas/.hidden.json", "schemas/note.txt", "x.json"):
        (policies / other).write_bytes(b"no")
    for other in ("more", ".git", "schemas/.git"):
        (policies / other).mkdir()
        (policies / other / "b.policy").write_bytes(b"no")
        (policies / other / "b.json").write_bytes(b"no")
    files, findings = read(policies)
    assert findings == ()
    assert list(files.items()) == [
        ("a.policy", b"language 1;"),
        ("a.test.policy", b"tests"),
        ("schemas/a.json", b"{}"),
        ("schemas/deep/b.json", b"[]"),
    ]


def test_schemas_need_not_be_there(tmp_path: Path) -> None:
    assert read(tmp_path) == ({}, ())


def test_a_place_that_is_no_folder_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "nothing"):
        files, (finding,) = read(tmp_path / name)
        assert not files
        assert (finding.at.file, finding.message, finding.severity) == (str(tmp_path / name), "this is no folder", "error")


def test_links_stay_in_the_folder(policies: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "policies2").mkdir()
    (tmp_path / "policies2" / "x.policy").write_bytes(b"secret")
    (policies / "out.policy").symlink_to(tmp_path / "secret")
    (policies / "beside.policy").symlink_to("../policies2/x.policy")
    (policies / "schemas" / "out.json").symlink_to("/etc/passwd")
    (policies / "schemas" / "elsewhere").symlink_to(tmp_path)
    (policies / "gone.policy").symlink_to("nothing")
    (policies / "loop.policy").symlink_to("loop.policy")
    files, findings = read(policies)
    assert sorted(files) == ["a.policy", "a.test.policy", "schemas/a.json", "schemas/deep/b.json"]
    assert {finding.at.file: finding.message for finding in findings} == {
        "out.policy": "this link leads out of the folder",
        "beside.policy": "this link leads out of the folder",
        "schemas/out.json": "this link leads out of the folder",
        "schemas/elsewhere": "this is a link to a folder, and such links are not followed",
        "gone.policy": "this file cannot be read: No such file or directory",
        "loop.policy": "this file cannot be read: Too many levels of symbolic links",
    }


def test_a_mounted_config_map_is_read(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "a.policy").write_bytes(b"mapped")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "a.policy").symlink_to("..data/a.policy")
    assert read(tmp_path) == ({"a.policy": b"mapped"}, ())


def test_the_folder_itself_may_be_a_link(policies: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(policies)
    files, findings = read(tmp_path / "current")
    assert (len(files), findings) == (4, ())


def test_schemas_may_not_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "schemas").symlink_to("/etc")
    assert complaints(tmp_path) == {"schemas": "this is a link to a folder, and such links are not followed"}


def test_what_is_no_file_is_not_waited_for(policies: Path) -> None:
    os.mkfifo(policies / "pipe.policy")
    (policies / "folder.policy").mkdir()
    assert complaints(policies) == {"pipe.policy": "this is no file", "folder.policy": "this is no file"}


def test_a_file_may_be_as_large_as_the_limit(policies: Path) -> None:
    (policies / "a.policy").write_bytes(b"x" * MAX_BYTES)
    (policies / "b.policy").write_bytes(b"x" * (MAX_BYTES + 1))
    files, (finding,) = read(policies)
    assert "a.policy" in files
    assert "b.policy" not in files
    assert (finding.id, finding.at.file) == ("too-large", "b.policy")


def test_more_files_than_the_limit_are_a_finding(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MAX_FILES", 3)
    files, (finding,) = read(policies)
    assert sorted(files) == ["a.policy", "a.test.policy", "schemas/a.json"]
    assert (finding.id, finding.at.file) == ("too-large", "schemas/deep/b.json")
    monkeypatch.setattr(folder, "MAX_FILES", 4)
    assert read(policies)[1] == ()


def test_a_name_that_cannot_be_shown_is_a_finding(policies: Path) -> None:
    (policies / "b\n.policy").touch()
    Path(os.fsdecode(os.fsencode(policies) + b"/c\xff.policy")).touch()
    files, findings = read(policies)
    assert len(files) == 4
    assert [finding.at.file.encode().isascii() for finding in findings] == [True, True]
    assert all("cannot be shown" in finding.message for finding in findings)


def test_folders_that_cannot_be_listed_are_findings(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir
    shut = str(policies / "schemas" / "deep")

    def scandir(path: str | Path) -> object:
        if str(path) == shut:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    def shut_out(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    assert complaints(policies) == {"schemas/deep": "this folder cannot be read: Permission denied"}
    monkeypatch.setattr(Path, "iterdir", shut_out)
    assert complaints(policies)["."] == "this folder cannot be read: Permission denied"
