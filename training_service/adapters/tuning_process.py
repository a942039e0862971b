"""A base model and texts of known concepts become a tuned model, by a child that may be killed.

Under the cache lies ``tuned/<fingerprint>/`` for each finished model, put there by one rename, and
``tuned/<fingerprint>.running/`` with the checkpoints of one that is not.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training_service.adapters.child_process import ChildError, ChildProcess
from training_service.adapters.tuning_job import MODEL, TuningJob, is_whole, seal
from training_service.domain.model import CARD_FILE, ENCODER_FILE, ResolvedModel, folder_digest
from training_service.errors import (
    ArtifactError,
    DependencyError,
    ResourceLimitError,
    StorageError,
    TrainError,
)
from training_service.fit.model_folder import model_digests
from training_service.fit.tuning import TuningPlan, TuningTexts
from training_service.observability import get_logger
from training_service.ports import Progress
from training_service.release.durable import make_folders, storage_errors, sync_folder, sync_tree

log = get_logger()

INSTALL = "pip install 'training-service[deep]'"

TUNED_FOLDER = "tuned"
"""Below the cache folder."""

_PACKAGES = ("accelerate", "datasets")
_RUNNING = ".running"
_MOST_FINISHED = 8
_MOST_RUNNING = 2
_QUIET: Mapping[str, str] = {
    "CUDA_VISIBLE_DEVICES": "",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    # Threads that spin while they wait make a step ten times as long where others compute too.
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
}
_REMEDY = "run again: it goes on from the last checkpoint"


class TuningProcess:
    """A ``Tuner`` that remembers what it made and how far it came."""

    def __init__(self, cache_dir: Path | None, silence_s: float = 900.0) -> None:
        """Keep models and checkpoints in ``cache_dir``; ``None`` keeps them with the work.

        A child that finishes no step for ``silence_s`` is given up.

        Raises:
            DependencyError: a package of the extra is not installed.
        """
        for name in _PACKAGES:
            if importlib.util.find_spec(name) is None:
                message = f"learn=deep, and the package {name} is not installed"
                raise DependencyError(message, hint=INSTALL)
        self._cache_dir = cache_dir
        self._silence_s = silence_s

    def tuned(
        self, base: Path, texts: TuningTexts, plan: TuningPlan, progress: Progress, work: Path
    ) -> Path:
        """The folder of the tuned model: the one kept for this plan, or made by a child.

        One at a time is tuned in a cache; others wait for it.

        Raises:
            ArtifactError: ``base`` cannot be tuned.
            SafetyError: ``base`` holds files that could run code.
            DependencyError: the child cannot import what it needs, or was killed.
            ResourceLimitError: the child finished nothing in time.
            StorageError: the disk refused.
        """
        fingerprint = plan.fingerprint(_base_digest(base), texts)
        root = self._root(work)
        with _alone(root):
            final = root / fingerprint
            if is_whole(final, {"fingerprint": fingerprint}):
                log.info("tuning.kept", folder=str(final))
                progress(plan.steps)
            else:
                running = root / f"{fingerprint}{_RUNNING}"
                self._make(TuningJob(running, base.absolute(), texts, plan), progress)
                _place(running, final, {"fingerprint": fingerprint})
            _prune(root, final)
        return final / MODEL

    def _root(self, work: Path) -> Path:
        """Where models are kept; with the work when the cache cannot be used."""
        if self._cache_dir is not None:
            root = self._cache_dir / TUNED_FOLDER
            try:
                make_folders(root)
            except StorageError as problem:
                log.warning("tuning.no_cache", why=str(problem))
            else:
                return root
        make_folders(work / TUNED_FOLDER)
        return work / TUNED_FOLDER

    def _make(self, job: TuningJob, progress: Progress) -> None:
        make_folders(job.folder)
        with storage_errors("write", job.folder):
            shutil.rmtree(job.model.parent, ignore_errors=True)
            job.write()
        home = {"HF_HOME": str(job.folder / "home")}
        child = ChildProcess("tuning_child", self._silence_s, {**_QUIET, **home})
        try:
            child.ask([str(job.folder.absolute())], on_answer=_Counted(progress))
        except ChildError as problem:
            raise _told(problem) from problem
        log.info("tuning.done", steps=job.plan.steps)


class _Counted:
    """Answers of the child, as progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0

    def __call__(self, answer: dict[str, Any]) -> None:
        """Pass on by how much the number of steps grew; those of a checkpoint count at once."""
        if done := max(0, answer.get("steps", 0) - self._done):
            self._done += done
            self._progress(done)


def _base_digest(base: Path) -> str:
    """The digest of what the model is made of, be it as it came or inside a version."""
    digests = model_digests(ResolvedModel(str(base), "path", base, str(base)), base)
    apart = (CARD_FILE, ENCODER_FILE)
    return folder_digest({name: each for name, each in digests.items() if name not in apart})


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the folder: of two runs with the same plan the second takes what the first makes."""
    with storage_errors("hold the folder", root):
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
        except BaseException:
            os.close(folder)
            raise
    try:
        yield
    finally:
        os.close(folder)


def _place(running: Path, final: Path, about: Mapping[str, str]) -> None:
    """Give the finished model its name, whole and durably, and forget its checkpoints."""
    done = running / "done"
    seal(done, about)
    sync_tree(done)
    with storage_errors("write", final):
        if final.exists():  # damaged, or it would have been taken
            shutil.rmtree(final)
        done.rename(final)
        sync_folder(final.parent)
    shutil.rmtree(running, ignore_errors=True)


def _prune(root: Path, used: Path) -> None:
    """Keep the models that were used last, and what was interrupted last."""
    with storage_errors("tidy", root):
        os.utime(used)
        folders = sorted(root.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    running = [path for path in folders if path.name.endswith(_RUNNING)]
    finished = [path for path in folders if path not in running]
    for path in (*finished[_MOST_FINISHED:], *running[_MOST_RUNNING:]):
        shutil.rmtree(path, ignore_errors=True)


def _told(problem: ChildError) -> TrainError:
    if problem.error == "silent":
        return ResourceLimitError(f"tuning the encoder came to a halt ({problem})", hint=_REMEDY)
    known: dict[str, type[TrainError]] = {
        each.reason: each for each in (ArtifactError, DependencyError, StorageError)
    }
    if problem.error in known:
        return known[problem.error](str(problem))
    if problem.error == "died":
        what = f"tuning the encoder was cut short: {problem}"
        return DependencyError(what, hint=f"{_REMEDY}, or do without --learn deep")
    return ArtifactError(f"the encoder cannot be tuned ({problem})", hint="see the base model")
