"""The version in service is hashed while something else happens, and verified as ever after it."""

from __future__ import annotations

import time
from io import BufferedReader
from pathlib import Path
from threading import Event

import pytest

from tests.support.clock import FakeClock
from tests.support.versions import DAY, promote, publish
from training_service.domain import digest
from training_service.errors import InputError
from training_service.release import file_digests
from training_service.release.version_manager import VersionManager


@pytest.fixture
def reader(manager: VersionManager) -> VersionManager:
    """Knows nothing yet of a version in service that nobody has touched for a while."""
    promote(manager, publish(manager, DAY).name)
    time.sleep(0.15)
    return VersionManager(manager.store, FakeClock(DAY))


@pytest.fixture
def hashed(reader: VersionManager, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are hashed from now on, the store of ``reader`` being made."""
    assert reader.current()
    names: list[str] = []
    really = digest.sha256_of

    def noted(file: BufferedReader) -> str:
        names.append(Path(file.name).name)
        return really(file)

    monkeypatch.setattr(file_digests, "sha256_of", noted)
    return names


def test_what_was_read_ahead_is_not_hashed_again(
    reader: VersionManager, hashed: list[str]
) -> None:
    """``verify`` knows every digest afterwards, and finds the version whole."""
    with reader.reading_ahead():
        pass
    assert {"index.faiss", "model.safetensors"} <= set(hashed)
    hashed.clear()
    assert reader.verify(str(reader.current())) == ()
    assert set(hashed) <= {"manifest.json"}


def test_a_change_after_reading_ahead_is_found(reader: VersionManager) -> None:
    """A file that changed between reading ahead and the check is named as ever."""
    version = str(reader.current())
    with reader.reading_ahead():
        pass
    (reader.store / version / "index.faiss").write_text("eno")
    assert [fault.where for fault in reader.verify(version)] == ['"index.faiss"']


def test_damage_met_ahead_is_left_to_the_check(reader: VersionManager) -> None:
    """A version that misses a file, or a link to nothing, stops nobody before it is verified."""
    version = str(reader.current())
    (reader.store / version / "manifest.json").unlink()
    with reader.reading_ahead():
        pass
    assert reader.verify(version) != ()
    (reader.store / "latest").unlink()
    (reader.store / "latest").symlink_to("elsewhere/v20260101")
    with reader.reading_ahead():
        pass


def test_a_failure_within_waits_for_no_reading(
    reader: VersionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad input is told at once, however much there is to hash."""
    may_end = Event()

    def slow(_file: BufferedReader) -> str:
        may_end.wait(30.0)
        return ""

    monkeypatch.setattr(file_digests, "sha256_of", slow)
    began_s = time.monotonic()
    with pytest.raises(InputError), reader.reading_ahead():
        raise InputError("row 3", faults=())
    assert time.monotonic() - began_s < 10.0
    may_end.set()
