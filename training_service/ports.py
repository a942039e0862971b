"""The few doors to the outside: what a stage may ask for without knowing who answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:  # numpy, and what takes a while, which not every command needs
    from training_service.domain.model import Precision, ResolvedModel, Runtime
    from training_service.domain.plan import PlannedStep
    from training_service.domain.release import Reachability, ReloadOutcome, ReloadRequest
    from training_service.domain.run import BuildMode, Candidate, Finding, Past
    from training_service.domain.vectors import Matrix, Neighbours, Vectors
    from training_service.errors import Fault

Progress = Callable[[int], None]
"""Told how many more items are done; a stage calls it after each batch."""


ProgressBars = Callable[[str, int], Progress]
"""Opens a bar for a stage by its name and the number of items to come."""


def no_progress(_done: int) -> None:
    """The progress that nobody watches."""


def no_progress_bars(_stage: str, _total: int) -> Progress:
    """The bars of a run that nobody watches."""
    return no_progress


class Steps(Protocol):
    """The record of a run's steps."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """Time and record what happens inside as the step ``name``."""


class Encoder(Protocol):
    """Text to unit vectors."""

    @property
    def identity(self) -> str:
        """Names model and precision: equal identities give equal vectors for equal texts."""

    @property
    def dimension(self) -> int:
        """The width d of the vectors."""

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        """Unit-norm float32 vectors (n, d), in the order of ``texts``; (0, d) for none."""

    def unread(self, texts: Sequence[str]) -> list[float]:
        """The share of each text's tokens that the model has no word for.

        Texts in a script that it was not trained on are alike to it, whatever they say.
        """


class VectorIndex(Protocol):
    """A searchable set of unit vectors under 63-bit content ids."""

    def __len__(self) -> int: ...

    def ids(self) -> set[int]:
        """Every id that is stored."""

    def search(self, queries: Matrix, k: int) -> Neighbours:
        """The ``min(k, n)`` most similar rows of each query (q, d), best first.

        Similarity is the cosine, whatever distance the store works with.
        """

    def vectors(self) -> Vectors:
        """Everything stored, in ascending order of id."""


class Clock(Protocol):
    """The time of day, so that tests can choose it."""

    def now(self) -> datetime:
        """The present moment, timezone-aware, in UTC."""


class ReloadHook(Protocol):
    """The ML service, asked to load a new version."""

    def reload(self, request: ReloadRequest) -> ReloadOutcome:
        """Ask for a version and tell what came of it; a service that fails raises nothing."""

    def probe(self) -> Reachability:
        """Whether the service can be reached at all, without asking it to load anything."""


class VersionProbe(Protocol):
    """A fresh process that loads a version as a service does."""

    def loading(
        self, folder: Path, rows: int | None
    ) -> AbstractContextManager[Callable[[], tuple[Fault, ...]]]:
        """Load the version in ``folder`` from now on, beside the caller, until the context ends.

        What is given waits, once, and tells what keeps the version from serving, or from
        answering as it did. ``rows`` is how many its manifest counts, if it does. It raises
        ``SafetyError`` for a model that could run code, ``DependencyError`` when a package is
        missing.
        """


class VectorStores(Protocol):
    """The derived vector stores of versions, built and opened away from this process."""

    def build(self, folder: Path, progress: Progress, target: Path | None) -> None:
        """Derive ``target`` from the index and the meta file in ``folder``."""

    def faults(self, folder: Path, store: Path, content_sha256: str) -> tuple[Fault, ...]:
        """How ``store`` differs from the index in ``folder``; a copy of it is opened."""


class ModelSource(Protocol):
    """Where base models come from."""

    def resolve(self, name: str) -> ResolvedModel:
        """The model that ``name`` means; ``DependencyError`` when it cannot be reached."""


class EncoderBackend(Protocol):
    """The ways to turn a model folder (with its ``encoder.json``) into an encoder."""

    def open(self, model_dir: Path) -> Encoder:
        """The encoder that ``encoder.json`` names."""

    def reference(self, model_dir: Path) -> Encoder:
        """The slow encoder that defines what is right."""

    def fast(self, model_dir: Path) -> Encoder:
        """The encoder over the folder's fp32 ONNX export."""

    def export(self, model_dir: Path, target: Path, *, is_traced: bool) -> None:
        """Write the fp32 ONNX export of the model to the file ``target``.

        Tracing takes a tenth of the time, and may miss what depends on the input. Raises
        ``ArtifactError`` for a model that cannot be exported so and ``DependencyError`` when a
        package it takes is not installed.
        """

    def runtime(self, precision: Precision) -> Runtime:
        """What computes in ``precision`` here; ``DependencyError`` when nothing does."""

    def quantise(self, model_dir: Path, target: Path) -> None:
        """Write the int8 form of the folder's fp32 export to ``target``; raises as ``export``."""


class Prepared(Protocol):
    """Checked inputs of a run."""

    @property
    def fingerprint(self) -> str:
        """The digest of all that shapes the version."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for people on what was read."""

    def record(self) -> dict[str, Any]:
        """The inputs' digests and counts."""

    def settings(self) -> dict[str, Any]:
        """The settings that shape the version."""


P = TypeVar("P", bound=Prepared)


LoadCheck = Callable[[int], AbstractContextManager[None]]
"""Has a fresh process load a build of so many rows meanwhile, and refuses it at the end if it
cannot; raises ``ArtifactError``."""


class Recipe(Protocol[P]):
    """The half of the road that differs from system to system."""

    @property
    def name(self) -> str:
        """What ``--recipe`` calls it."""

    def inspect(self) -> tuple[Finding, ...]:
        """What a smoke test finds; writes nothing."""

    def load(self, mode: BuildMode) -> P:
        """Read and check all that ``mode`` needs."""

    def estimated_bytes(self, inputs: P) -> int:
        """About how much disk the version of ``inputs`` will take."""

    def plan(self, inputs: P, past: Past) -> tuple[PlannedStep, ...]:
        """What ``build`` would do, step by step; writes nothing."""

    def build(
        self, inputs: P, staging: Path, past: Past, steps: Steps, check: LoadCheck
    ) -> Candidate:
        """Fill ``staging`` with all of a version but its manifest, and score it.

        ``check`` is entered once all stands there that a service reads, with the number of rows;
        what is derived from it may come meanwhile, or later.
        """


LockStore = Callable[[str, str, float], AbstractContextManager[object]]
"""Holds the store for a mode and a run id, after waiting so many seconds at most."""
