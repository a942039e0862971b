"""A published version becomes a report: its bytes, its model, what it answers, its vector store.

A run checks bytes alone, which is quick and enough for what a healthy run has published itself.
This is the whole look, for people and before a switch by hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from training_service.domain.file_names import CHROMA_FOLDER, MODEL_FOLDER
from training_service.domain.model import (
    BASE_CARD_FILE,
    CARD_FILE,
    ENCODER_FILE,
    ONNX_FILE,
    EncoderChoice,
    folder_digest,
)
from training_service.domain.release import Manifest
from training_service.errors import ArtifactError, Fault
from training_service.ports import Steps, VectorStores, VersionProbe
from training_service.release.durable import read_json
from training_service.release.file_records import MANIFEST_FILE
from training_service.release.tree_check import TreeReport, look
from training_service.release.version_manager import VersionManager

ROLL_BACK = "go back with `train versions rollback`"


@dataclass(frozen=True)
class Inspection:
    """What was found of one version.

    ``store_faults`` are of the derived vector store, which a repair rebuilds; ``faults`` of all
    else. ``notes`` are sentences for people on what is no fault.
    """

    version: str
    faults: tuple[Fault, ...]
    store_faults: tuple[Fault, ...]
    notes: tuple[str, ...]
    has_store: bool
    size_bytes: int
    duration_s: float

    @property
    def every_fault(self) -> tuple[Fault, ...]:
        """The faults of both kinds."""
        return self.faults + self.store_faults

    @property
    def remedy(self) -> str:
        """What a person can do about the faults; empty when there are none."""
        if self.faults:
            return ROLL_BACK
        repair = f"`train versions repair {self.version}`"
        return f"{repair} rebuilds it from the version's own vectors" if self.store_faults else ""


class Verification:
    """Looks at the versions of one store, to the bottom or at their bytes."""

    def __init__(
        self, versions: VersionManager, probe: VersionProbe, stores: VectorStores
    ) -> None:
        """Load versions through ``probe`` and open their vector stores through ``stores``."""
        self._versions = versions
        self._probe = probe
        self._stores = stores

    def inspect(self, version: str, *, quick: bool = False) -> Inspection:
        """Everything wrong with ``version``; ``quick`` looks at its bytes alone.

        What stands on damaged bytes is not opened, so damage to one file is one fault.

        Raises:
            UsageError: the store has no such version.
            SafetyError: something in it could run code; nothing of it was opened.
        """
        began_s = time.monotonic()
        path = self._versions.path(version)
        tree = look(path)
        faults = [*tree.faults, *self._pin_faults(version)]
        store_faults = [_store_fault(each) for each in tree.cache_faults]
        if not quick and not faults and tree.manifest is not None:
            faults += self._content_faults(path, tree.manifest)
            if not faults and not store_faults:
                store_faults += self._store_faults(path, tree.manifest, tree)
        return Inspection(
            version=version,
            faults=tuple(faults),
            store_faults=tuple(store_faults),
            notes=_notes(tree, is_read=not quick and not faults and not store_faults),
            has_store=tree.manifest is not None and CHROMA_FOLDER in tree.manifest.caches,
            size_bytes=tree.size_bytes,
            duration_s=time.monotonic() - began_s,
        )

    def require(self, version: str) -> None:
        """Raise ArtifactError, naming every fault, unless ``version`` is whole to the bottom."""
        found = self.inspect(version)
        if found.every_fault:
            what = f"{version} does not verify"
            raise ArtifactError(what, faults=found.every_fault, hint=found.remedy)

    def _pin_faults(self, version: str) -> list[Fault]:
        """Whether the manifest is still the one that went into service, if it ever did.

        One that was rewritten so that it agrees with itself still differs from the record.
        """
        try:
            promotions = [each.record for each in self._versions.history()]
            found = self._versions.manifest_sha256(version)
        except ArtifactError:  # told where the records, or the manifest, are what is looked at
            return []
        pins = [each.manifest_sha256 for each in promotions if each.version == version]
        if not pins or pins[-1] == found:
            return []
        problem = f"has SHA-256 {found[:12]}…, its last promotion recorded {pins[-1][:12]}…"
        return [Fault(MANIFEST_FILE, problem)]

    def _content_faults(self, path: Path, manifest: Manifest) -> list[Fault]:
        faults = list(_model_faults(path / MODEL_FOLDER, manifest))
        cache = manifest.caches.get(CHROMA_FOLDER)
        if faults:
            return faults
        with self._probe.loading(path, cache["count"] if cache else None) as found:
            return list(found())

    def _store_faults(self, path: Path, manifest: Manifest, tree: TreeReport) -> list[Fault]:
        """What is wrong with the content; where one file has other bytes, it is that file."""
        cache = manifest.caches.get(CHROMA_FOLDER)
        if cache is None:
            return []
        found = self._stores.faults(path, path / CHROMA_FOLDER, cache["content_sha256"])
        suspect = tree.opened[0] if tree.opened else ""
        return [_store_fault(Fault(suspect or each.where, each.problem)) for each in found]


def _store_fault(fault: Fault) -> Fault:
    return Fault(fault.where, f"vector store damaged: {fault.problem}")


@contextmanager
def must_load(probe: VersionProbe, steps: Steps, staging: Path, rows: int) -> Iterator[None]:
    """Beside the caller, a fresh process loads staged ``rows`` and answers as they were built to.

    The step ``check`` is the wait for it. The vector store is not opened: the build reads it back.
    ArtifactError with every fault at the end, and what ``VersionProbe.loading`` raises.
    """
    with probe.loading(staging, rows) as loaded:
        yield
        with steps.step("check"):
            faults = loaded()
            if faults:
                what = "the new version does not load, or does not answer, as it was built"
                raise ArtifactError(what, hint="nothing was published; run again", faults=faults)


def _model_faults(model_dir: Path, manifest: Manifest) -> Iterator[Fault]:
    """Whether the model is the base model that the manifest names, and its encoder that one's."""
    prefix = f"{MODEL_FOLDER}/"
    records = {
        name.removeprefix(prefix): record.sha256
        for name, record in manifest.files.items()
        if name.startswith(prefix)
    }
    found = _base_digests(records)
    base = manifest.base_model.get("sha256")
    if base not in found:
        problem = f"is the base model {found[0][:12]}…, the manifest names {str(base)[:12]}…"
        yield Fault(MODEL_FOLDER, problem)
    where = f"{MODEL_FOLDER}/{ENCODER_FILE}"
    try:
        choice = EncoderChoice.from_record(read_json(model_dir / ENCODER_FILE), where)
    except ArtifactError as problem:
        yield Fault(where, str(problem))
        return
    if choice.model_sha256 != base:
        yield Fault(where, "speaks for another base model than the manifest names")
    if choice.backend == "onnx" and choice.onnx_sha256 != records.get(choice.served_file):
        yield Fault(where, f"names another export than {choice.served_file}")


def _base_digests(records: Mapping[str, str]) -> tuple[str, ...]:
    """What the base model in the folder may be: its files, without those that the version made."""
    runtime = ONNX_FILE.partition("/")[0]
    made = {ENCODER_FILE, CARD_FILE, BASE_CARD_FILE}
    files = {
        name: digest
        for name, digest in records.items()
        if name not in made and name.partition("/")[0] != runtime
    }
    if BASE_CARD_FILE in records:
        return (folder_digest({**files, CARD_FILE: records[BASE_CARD_FILE]}),)
    if CARD_FILE not in records:
        return (folder_digest(files),)
    # The card is the version's own, or the base model's in versions older than such cards.
    return folder_digest(files), folder_digest({**files, CARD_FILE: records[CARD_FILE]})


def _notes(tree: TreeReport, *, is_read: bool) -> tuple[str, ...]:
    content = "content whole" if is_read else "content not looked at"
    changed = "has changed since it was published, as opening it does"
    unknown = "has no record of the bytes it was written with"
    return (
        *(f"{name} {changed}; {content}" for name in tree.opened),
        *(f"{name}/ {unknown}; {content}" for name in tree.unrecorded),
    )
