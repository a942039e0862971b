"""An earlier version's parts become those of a new one, where a step would make the same again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training_service.domain.file_names import (
    CHROMA_FOLDER,
    INDEX_FILE,
    LEXICAL_FILE,
    META_FILE,
    MODEL_FOLDER,
)
from training_service.domain.run import Served
from training_service.domain.snapshot import SNAPSHOT_FOLDER
from training_service.recipes.semantic_inputs import Inputs
from training_service.release.linking import share_file, share_tree

_PARTS = {
    "model": (MODEL_FOLDER,),
    "index": (INDEX_FILE, META_FILE),
    "lexical": (LEXICAL_FILE,),
    "snapshot": (SNAPSHOT_FOLDER,),
}


@dataclass(frozen=True)
class Reuse:
    """What ``inputs`` have in common with ``basis``, a whole version or none.

    ``keeps_model``: the model of the basis is to be taken over, whatever it was made from.
    """

    inputs: Inputs
    basis: Served | None
    keeps_model: bool = False

    def may(self, step: str) -> bool:
        """Whether ``step`` made, for the basis, what it would make for these inputs."""
        if self.keeps_model and step == "model":
            return True
        return self.basis is not None and self.basis.steps.get(step) == self.inputs.steps[step]

    def take(self, step: str, staging: Path) -> bool:
        """Give the parts that ``step`` makes a place in ``staging``, if they are there to be had.

        Nothing is written into them afterwards: on most file systems they are hard links.
        Raises ``StorageError`` when the disk refuses.
        """
        if self.basis is None or not self.may(step):
            return False
        sources = [self.basis.path / name for name in _PARTS[step]]
        if not all(source.exists() for source in sources):
            return False
        for source in sources:
            share = share_tree if source.is_dir() else share_file
            share(source, staging / source.name)
        return True

    @property
    def collection(self) -> Path | None:
        """The version whose vector store may be taken as it is, but for the rows that differ."""
        if self.basis is None or not self.may("model"):
            return None
        has_store = (self.basis.path / CHROMA_FOLDER).is_dir()
        return self.basis.path if has_store else None
