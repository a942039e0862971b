"""The sweep of what dead runs left."""

from __future__ import annotations

from pathlib import Path

from training_service.release.staging import StagingArea


def test_a_sweep_that_cannot_look_leaves_the_rest_to_the_next(tmp_path: Path) -> None:
    """Where a folder cannot be read, nothing is raised, and what can be swept is."""
    (tmp_path / "promotions").write_text("no folder")
    (tmp_path / ".latest.0123456789ab.tmp").write_text("left")
    assert StagingArea(tmp_path).sweep() == (".latest.0123456789ab.tmp",)


def test_a_sweep_stays_in_the_store(tmp_path: Path) -> None:
    """A record folder that is a link is not swept: what it leads to belongs to others."""
    store, outside = tmp_path / "store", tmp_path / "outside"
    store.mkdir()
    outside.mkdir()
    (outside / ".notes.tmp").write_text("mine")
    (store / "promotions").symlink_to(outside)
    assert StagingArea(store).sweep() == ()
    assert (outside / ".notes.tmp").read_text() == "mine"
