import subprocess
import sys
import threading
from pathlib import Path

import pytest

from proxy.demo import provide as module
from proxy.demo.provide import provide
from proxy.errors import SetupFault

ROOT = Path(__file__).parents[2]
BUILT = ROOT / ".tools" / "centrifugo-6.9.1"
PACKAGE = "github.com/centrifugal/centrifugo/v6"
SOURCE = """package main

import "fmt"
import "github.com/centrifugal/centrifugo/v6/internal/build"

func main() { fmt.Println("Centrifugo v" + build.Version) }
"""


def _project(folder: Path, source: str = SOURCE) -> Path:
    """A project that pins a Centrifugo which does nothing but tell its version, so that the real Go builds it at once."""
    pins = folder / "tools" / "centrifugo6"
    inner = pins / "fake" / "internal" / "build"
    inner.mkdir(parents=True)
    (pins / "go.mod").write_text(f"module centrifugo6\n\ngo 1.21\n\nrequire {PACKAGE} v6.9.1\n\nreplace {PACKAGE} => ./fake\n")
    (pins / "fake" / "go.mod").write_text(f"module {PACKAGE}\n\ngo 1.21\n")
    (pins / "fake" / "main.go").write_text(source)
    (inner / "build.go").write_text('package build\n\nvar Version = "0.0.0"\n')
    return folder


def _program(file: Path, version: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho 'Centrifugo v{version} (Go version: go1)'\n")
    file.chmod(0o755)
    return file


def test_the_chosen_program_comes_first() -> None:
    assert provide("6.9.1", str(BUILT)) == BUILT


def test_another_version_may_be_chosen_but_no_other_major_one(tmp_path: Path) -> None:
    newer = _program(tmp_path / "mine", "6.12.0")
    assert provide("6.9.1", str(newer)) == newer
    with pytest.raises(SetupFault, match=r"is Centrifugo 6\.12\.0, and 5\.4\.9 is wanted"):
        provide("5.4.9", str(newer))


@pytest.mark.parametrize("chosen", ["/bin/true", "/nothing/there"])
def test_a_choice_that_is_no_centrifugo_is_refused(chosen: str) -> None:
    with pytest.raises(SetupFault, match=f"CENTRIFUGO={chosen} is no Centrifugo"):
        provide("6.9.1", chosen)


def test_one_on_the_path_in_the_right_version_is_taken(tmp_path: Path) -> None:
    installed = _program(tmp_path / "bin" / "centrifugo", "6.9.1")
    assert provide("6.9.1", path=str(installed.parent), root=tmp_path) == installed


def test_one_on_the_path_in_another_version_is_passed_over(tmp_path: Path) -> None:
    installed = _program(tmp_path / "bin" / "centrifugo", "6.9.0")
    built = _program(tmp_path / ".tools" / "centrifugo-6.9.1", "6.9.1")
    assert provide("6.9.1", path=str(installed.parent), root=tmp_path) == built


def test_go_builds_what_is_missing_once(tmp_path: Path) -> None:
    told: list[str] = []
    root = _project(tmp_path)
    built = provide("6.9.1", root=root, tell=told.append)
    assert built == root / ".tools" / "centrifugo-6.9.1"
    assert provide("6.9.1", root=root, tell=told.append) == built
    assert told == ["Building Centrifugo 6.9.1 with Go: this takes a few minutes, once."]
    assert {file.name for file in built.parent.iterdir()} == {"centrifugo-6.9.1", "centrifugo-6.9.1.lock"}


def test_two_at_once_build_once(tmp_path: Path) -> None:
    told: list[str] = []
    root = _project(tmp_path)
    several = [threading.Thread(target=provide, args=("6.9.1",), kwargs={"root": root, "tell": told.append}) for _ in range(2)]
    for each in several:
        each.start()
    for each in several:
        each.join()
    assert len(told) == 1


def test_a_failed_build_shows_what_go_says_and_leaves_nothing(tmp_path: Path) -> None:
    root = _project(tmp_path, "package main\n\nfunc main() { nonsense }\n")
    with pytest.raises(SetupFault, match=r"building Centrifugo 6\.9\.1 failed(.|\n)*undefined: nonsense"):
        provide("6.9.1", root=root, tell=lambda _: None)
    assert not (root / ".tools" / "centrifugo-6.9.1").exists()


def test_a_build_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUILD_S", 0)
    with pytest.raises(SetupFault, match="took longer than 0 s"):
        provide("6.9.1", root=_project(tmp_path), tell=lambda _: None)


def test_without_go_all_ways_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetupFault, match=r"Go is not installed: set CENTRIFUGO .* `centrifugo`, or install Go.*docker compose"):
        provide("6.9.1", root=_project(tmp_path), path=str(tmp_path))


@pytest.mark.parametrize("version", ["6.9.2", "7.0.0"])
def test_a_version_that_is_not_pinned_is_not_built(version: str, tmp_path: Path) -> None:
    with pytest.raises(SetupFault, match="does not pin it"):
        provide(version, root=_project(tmp_path))


def test_the_command_provides_several_and_tells_what_is_wrong() -> None:
    command = [sys.executable, "-m", "proxy.demo.provide", "6.9.1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Centrifugo 6.9.1: /")
    done = subprocess.run([*command, "6.0.0"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no Centrifugo 6.0.0" in done.stderr


def test_what_the_demo_runs_is_pinned() -> None:
    assert f" v{module.PINNED}\n" in (ROOT / "tools" / "centrifugo6" / "go.mod").read_text()
