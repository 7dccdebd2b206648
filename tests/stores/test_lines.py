import os
import stat
from pathlib import Path

import pytest

from proxy.stores.lines import Lines


def test_lines_are_appended_to_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = Lines(str(path))
    lines.append([b"1\n"])
    lines.append([b"2\n", b"3\n"])
    assert path.read_bytes() == b"1\n2\n3\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines.close()
    lines.close()
    lines.append([b"4\n"])
    assert path.read_bytes() == b"1\n2\n3\n4\n"


@pytest.mark.parametrize("left", [True, False])
def test_a_file_that_was_rotated_is_begun_anew(tmp_path: Path, *, left: bool) -> None:
    path = tmp_path / "log"
    lines = Lines(str(path))
    lines.append([b"1\n"])
    path.rename(tmp_path / "log.1")
    if left:
        path.write_bytes(b"0\n")
    lines.append([b"2\n"])
    assert (tmp_path / "log.1").read_bytes() == b"1\n"
    assert path.read_bytes() == (b"0\n2\n" if left else b"2\n")


def test_a_file_that_cannot_be_written_is_an_error_until_it_can(tmp_path: Path) -> None:
    lines = Lines(str(tmp_path / "later" / "log"))
    with pytest.raises(OSError, match="No such file"):
        lines.append([b"1\n"])
    (tmp_path / "later").mkdir()
    lines.append([b"2\n"])
    assert (tmp_path / "later" / "log").read_bytes() == b"2\n"


def test_a_full_disk_is_an_error() -> None:
    lines = Lines("/dev/full")
    with pytest.raises(OSError, match="No space"):
        lines.append([b"1\n"])


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda file, data: whole(file, data[:3]))
    lines = Lines(str(tmp_path / "log"))
    lines.append([b"12345678\n"])
    assert (tmp_path / "log").read_bytes() == b"12345678\n"


def test_a_hyphen_is_standard_output_and_stays_open(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    lines = Lines("-")
    lines.append([b"1\n"])
    lines.close()
    lines.append([b"2\n"])
    assert capfdbinary.readouterr().out == b"1\n2\n"
