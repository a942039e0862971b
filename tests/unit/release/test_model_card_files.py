"""A version's own model card beside that of its base model, and the base model's digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.vector_stores import Copies, Loads
from tests.support.versions import DAY, draft, fill
from training_service.domain.model import BASE_CARD_FILE, CARD_FILE, EncoderChoice, folder_digest
from training_service.errors import StorageError
from training_service.fit.model_folder import write_card
from training_service.release.durable import write_json
from training_service.release.verification import Verification
from training_service.release.version_manager import VersionManager

OLD_CARD = "the base model's card"


def sha256(text: str) -> str:
    """The digest that a manifest would give ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()


def problems(store: Path, files: Mapping[str, str], base: Mapping[str, str]) -> list[str]:
    """What is wrong with the model of a version with ``files`` in it, made of ``base``."""
    digest = folder_digest({name: sha256(text) for name, text in base.items()})
    manager = VersionManager(store, FakeClock(DAY))
    store.mkdir()
    with manager.staging("run-1") as folder:
        fill(folder)
        for name, text in files.items():
            (folder / "model" / name).write_text(text)
        choice = EncoderChoice("reference", None, "not exported", digest)
        write_json(folder / "model/encoder.json", choice.as_record())
        caches = {"chroma": {"count": 3, "content_sha256": "c" * 64}}
        drafted = draft(DAY, base_model={"name": "m", "sha256": digest}, caches=caches)
        name = manager.publish(folder, drafted).name
    looking = Verification(manager, Loads(), Copies(store / name / "chroma"))
    return [str(fault) for fault in looking.inspect(name).faults]


WEIGHTS = {"model.safetensors": "weights"}
WITH_CARD = {**WEIGHTS, CARD_FILE: OLD_CARD}


@pytest.mark.parametrize(
    ("files", "base"),
    [
        ({**WEIGHTS, CARD_FILE: "ours", BASE_CARD_FILE: OLD_CARD}, WITH_CARD),
        ({**WEIGHTS, CARD_FILE: "ours"}, WEIGHTS),
        (WITH_CARD, WITH_CARD),
        (WEIGHTS, WEIGHTS),
    ],
    ids=["with a card", "without one", "older than cards", "no card at all"],
)
def test_the_card_is_no_part_of_the_base_model(
    tmp_path: Path, files: Mapping[str, str], base: Mapping[str, str]
) -> None:
    """A version verifies whether or not its base model had a card, and whether it has one."""
    assert problems(tmp_path / "store", files, base) == []


def test_another_base_card_is_another_base_model(tmp_path: Path) -> None:
    """What was set aside counts under the name that it had."""
    files = {**WEIGHTS, CARD_FILE: OLD_CARD, BASE_CARD_FILE: "forged"}
    found = problems(tmp_path / "store", files, WITH_CARD)
    assert len(found) == 1
    assert "is the base model" in found[0]


def test_a_new_card_leaves_the_earlier_version_alone(tmp_path: Path) -> None:
    """A card that is shared by a hard link is replaced in one place and kept in the other."""
    earlier, later = tmp_path / "earlier", tmp_path / "later"
    earlier.mkdir()
    later.mkdir()
    write_card(earlier, "the first")
    (later / CARD_FILE).hardlink_to(earlier / CARD_FILE)
    write_card(later, "the second")
    assert (earlier / CARD_FILE).read_text() == "the first"
    assert (later / CARD_FILE).read_text() == "the second"


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """A card goes into the staged folder alone, not to where a link planted there leads."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / CARD_FILE).write_text("mine")
    (tmp_path / "model").symlink_to(outside)
    with pytest.raises(StorageError):
        write_card(tmp_path / "model", "forged")
    assert (outside / CARD_FILE).read_text() == "mine"


def test_a_card_that_is_a_link_is_replaced(tmp_path: Path) -> None:
    """A link planted under the card's name is taken away; what it leads to stays."""
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / CARD_FILE).symlink_to(target)
    write_card(tmp_path / "model", "ours")
    assert target.read_text() == "mine"
    assert (tmp_path / "model" / CARD_FILE).read_text() == "ours"
    assert not (tmp_path / "model" / CARD_FILE).is_symlink()
