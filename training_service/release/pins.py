"""A person's word that a version stays becomes a file that outlives crashes and careless hands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training_service.domain.release import VersionId
from training_service.errors import ArtifactError, UsageError, shown
from training_service.ports import Clock
from training_service.release.version_records import PINS_FOLDER, VersionRecords


@dataclass(frozen=True)
class Pin:
    """Why a version stays, since when and by whose word.

    The texts are empty, and ``problem`` says why, when the file is damaged: it pins all the same.
    """

    version: str
    reason: str = ""
    pinned_at: str = ""
    pinned_by: str = ""
    problem: str = ""


class Pins:
    """The pins of one store; change them only while holding its lock."""

    def __init__(self, store: Path, clock: Clock, by: str = "") -> None:
        """Use ``pins/`` of ``store``; new pins are signed ``by``."""
        self._records = VersionRecords(store / PINS_FOLDER)
        self._clock = clock
        self._by = by

    def names(self) -> frozenset[str]:
        """Every pinned version; StorageError when that cannot be told."""
        return self._records.names()

    def find(self, version: str) -> Pin | None:
        """The pin of ``version``, ``None`` when it has none."""
        if version not in self.names():
            return None
        try:
            return _parse(version, self._records.read(version))
        except ArtifactError as problem:
            return Pin(version, problem=str(problem))

    def pin(self, version: str, reason: str) -> Pin:
        """Pin ``version``, durably; a pin that it has is replaced."""
        made = Pin(version, reason, self._clock.now().isoformat(), self._by)
        fields = {name: text for name, text in asdict(made).items() if name != "problem"}
        self._records.write(version, {**fields, "schema_version": 1})
        return made

    def unpin(self, version: str) -> bool:
        """Take the pin away, durably; ``False`` when there is none.

        Raises:
            UsageError: it is no version name.
        """
        if VersionId.parse(version) is None:
            raise UsageError(f"{shown(version)} is no version name", hint="expected v20251231.2")
        if version not in self.names():
            return False
        self._records.remove(version)
        return True


def _parse(version: str, record: dict[str, Any]) -> Pin:
    texts = [record.get(name) for name in ("version", "reason", "pinned_at", "pinned_by")]
    if texts[0] != version or not all(isinstance(text, str) for text in texts):
        raise ArtifactError(f"the pin of {version} is damaged", hint="pin the version again")
    _, reason, pinned_at, pinned_by = texts
    return Pin(version, str(reason), str(pinned_at), str(pinned_by))
