"""What ``train report`` tells of versions judged, unjudged and changed."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.support.clock import FakeClock
from tests.support.evidence import ABOUT, METRICS, full_evidence
from tests.support.versions import DAY, draft, fill
from training_service.cli.report import report
from training_service.release.evidence_file import write_evidence
from training_service.release.version_manager import VersionManager
from training_service.report.page import REPORT_FILE, render_report

VERSION = "v20261120"


def made(store: Path, *files: str) -> VersionManager:
    """A store with one version that holds ``files``, of which there are two."""
    manager = VersionManager(store, FakeClock(DAY))
    store.mkdir()
    with manager.staging("run-1") as folder:
        fill(folder)
        if "evidence.json" in files:
            write_evidence(full_evidence(), folder)
        if REPORT_FILE in files:
            text = render_report(full_evidence(), METRICS, ABOUT)
            (folder / REPORT_FILE).write_text(text, encoding="utf-8")
        manager.publish(folder, draft(DAY, scorecard=METRICS))
    return manager


def ran(store: Path, *arguments: str) -> Result:
    """The command over ``store``."""
    app = typer.Typer()
    app.command()(report)
    given = [*arguments, "--store", str(store)]
    return CliRunner().invoke(app, given, catch_exceptions=False)


def test_the_report_of_a_version_is_told(tmp_path: Path) -> None:
    """The verdict comes first, then the path of the report in the version."""
    made(tmp_path / "store", REPORT_FILE)
    done = ran(tmp_path / "store", VERSION, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["report"] == str(tmp_path / "store" / VERSION / REPORT_FILE)
    assert told["verdict"] == "promoted-passed"
    assert told["sentence"].startswith(f"{VERSION} was promoted; ")
    plain = ran(tmp_path / "store", VERSION)
    assert plain.stdout.startswith(f"{VERSION} was promoted; ")


def test_a_version_without_one_is_reported_from_its_evidence(tmp_path: Path) -> None:
    """The page is made anew where --out says, and the version is left as it was."""
    manager = made(tmp_path / "store", "evidence.json")
    out = tmp_path / "page.html"
    done = ran(tmp_path / "store", VERSION, "--out", str(out))
    assert done.exit_code == 0, done.output
    assert f"Report on {VERSION}" in out.read_text(encoding="utf-8")
    assert not manager.verify(VERSION)


def test_without_a_place_it_goes_to_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--open shows the page that was made, and leaves the store alone."""
    opened: list[str] = []

    def open_page(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", open_page)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made(tmp_path / "store", "evidence.json")
    done = ran(tmp_path / "store", VERSION, "--json", "--open")
    place = Path(json.loads(done.stdout)["report"])
    assert opened == [place.as_uri()]
    assert place.is_relative_to(tmp_path)
    assert not place.is_relative_to(tmp_path / "store")


@pytest.mark.parametrize("name", [REPORT_FILE, "evidence.json"])
def test_a_changed_file_is_not_shown(tmp_path: Path, name: str) -> None:
    """A report or evidence with other bytes than were published ends with exit code 12."""
    made(tmp_path / "store", name)
    path = tmp_path / "store" / VERSION / name
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    done = ran(tmp_path / "store", VERSION)
    assert done.exit_code == 12
    assert f"{name} is not as it was published" in done.stderr


def test_an_unjudged_version_has_none(tmp_path: Path) -> None:
    """A version without evidence ends with exit code 12 and says what has one."""
    made(tmp_path / "store")
    done = ran(tmp_path / "store", VERSION)
    assert done.exit_code == 12
    assert "only a version that full-train judged has one" in done.stderr


def test_nothing_in_service_is_told(tmp_path: Path) -> None:
    """Without a version in service one has to be named."""
    made(tmp_path / "store", REPORT_FILE)
    done = ran(tmp_path / "store")
    assert done.exit_code == 2
    assert "is in service" in done.stderr


def test_the_store_is_no_place_to_write(tmp_path: Path) -> None:
    """--out among the versions is refused before anything is read."""
    made(tmp_path / "store", REPORT_FILE)
    done = ran(tmp_path / "store", VERSION, "--out", str(tmp_path / "store" / "x.html"))
    assert done.exit_code == 2
    assert not (tmp_path / "store" / "x.html").exists()
