"""Two folders change places."""

from __future__ import annotations

from pathlib import Path

import pytest

from training_service.release import exchange


def test_folders_change_places_without_the_system_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where renameat2 cannot exchange, two renames do, and nothing else is left."""
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    monkeypatch.setattr(exchange, "renameat2", lambda *_: 38)
    exchange.exchange(tmp_path / "new", tmp_path / "old")
    found = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))
    assert found == ["new", "new/old", "old", "old/new"]
