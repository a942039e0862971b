"""Texts to vectors on the machines of a Ray cluster, a block at a time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training_service.adapters.encoders.cache import CachedEncoder
from training_service.adapters.encoders.cache_keys import text_keys
from training_service.adapters.ray_blocks import BlockFiles, TextBlock, blocks_of
from training_service.adapters.ray_process import PLACE_PREFIX, RayProcess
from training_service.domain.vectors import Matrix
from training_service.errors import UsageError
from training_service.observability import get_logger
from training_service.ports import Encoder, Progress, ProgressBars, no_progress
from training_service.release.durable import storage_errors

log = get_logger()

Take = Callable[[TextBlock, Matrix], None]
"""Takes the vectors (n, d) of a block."""

_BLOCK_TEXTS = 4096
_PROBE_TEXTS = 16


class RayFilling:
    """Fills the embedding cache from a cluster, so that what follows finds every vector there."""

    def __init__(self, folder: Path, cluster: RayProcess, block_texts: int = _BLOCK_TEXTS) -> None:
        """Keep finished blocks in ``folder`` until the cache has them."""
        self._folder = folder
        self._cluster = cluster
        self._block_texts = block_texts

    def __call__(
        self, encoder: Encoder, model_dir: Path, texts: Iterable[str], progress: ProgressBars
    ) -> None:
        """Have the cache before ``encoder``, which is opened from ``model_dir``, know ``texts``.

        What is missing and fits one block is left to the encoder itself.

        Raises:
            UsageError: there is no embedding cache before ``encoder``.
            TrainError: of the kind that the cluster or a worker met; what was done is kept.
        """
        if not isinstance(encoder, CachedEncoder):
            message = "engine=ray, and there is no embedding cache to fill"
            raise UsageError(message, hint="set cache_dir to a folder")
        distinct = sorted(set(texts))
        missing = [distinct[i] for i in np.flatnonzero(~encoder.known(distinct)).tolist()]
        if len(missing) <= self._block_texts:
            return
        bar = progress("encoding on the cluster", len(missing))
        spread = RayEncoder(encoder, model_dir, self._folder, self._cluster, self._block_texts)
        cache = encoder.cache
        spread.fill(missing, lambda part, found: cache.add(text_keys(part), found), bar)


class RayEncoder:
    """The encoder of a model folder, run by actors of Ray Data that hold the model.

    It gives what ``local`` gives for the same blocks: every machine proves itself on texts that
    are encoded here as well. What fits one block is encoded here altogether. The vectors of
    finished blocks lie in files until a call is through, so one that was cut off goes on.
    """

    def __init__(
        self,
        local: Encoder,
        model_dir: Path,
        folder: Path,
        cluster: RayProcess,
        block_texts: int = _BLOCK_TEXTS,
    ) -> None:
        """Spread the work of ``local``, which is opened from ``model_dir``.

        ``folder`` is for finished blocks; only this machine has to reach it.
        """
        self._local = local
        self._model_dir = model_dir
        self._files = BlockFiles(folder, local.identity, local.dimension)
        self._cluster = cluster
        self._block_texts = block_texts

    @property
    def identity(self) -> str:
        """The identity of the local encoder: the vectors are the same."""
        return self._local.identity

    @property
    def dimension(self) -> int:
        """The width of the local encoder's vectors."""
        return self._local.dimension

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        """Unit vectors (n, d) in the order of ``texts``; equal texts are encoded once."""
        distinct = list(dict.fromkeys(texts))
        if len(distinct) <= self._block_texts:
            return self._local.encode(texts, progress)
        vectors = np.empty((len(distinct), self.dimension), dtype=np.float32)

        def place(block: TextBlock, found: Matrix) -> None:
            vectors[block.start : block.start + len(found)] = found
            progress(len(found))

        self._spread(distinct, place, drop=False)
        progress(len(texts) - len(distinct))
        row = {text: i for i, text in enumerate(distinct)}
        return vectors[np.array([row[text] for text in texts], dtype=np.int64)]

    def unread(self, texts: Sequence[str]) -> list[float]:
        """What the local encoder cannot read."""
        return self._local.unread(texts)

    def fill(
        self,
        texts: Sequence[str],
        store: Callable[[Sequence[str], Matrix], None],
        progress: Progress = no_progress,
    ) -> None:
        """Give the vectors of distinct ``texts`` to ``store``, block by block in any order.

        Memory holds one block at a time.
        """

        def keep(block: TextBlock, found: Matrix) -> None:
            store(block.texts, found)
            progress(len(found))

        self._spread(texts, keep, drop=True)

    def _spread(self, texts: Sequence[str], take: Take, *, drop: bool) -> None:
        """Give ``take`` every block of ``texts`` once; with ``drop`` its file goes at once."""
        self._files.make()
        missing: dict[str, TextBlock] = {}
        for block in blocks_of(texts, self.identity, self._block_texts):
            found = self._files.read(block)
            if found is None:
                missing[block.key] = block
                continue
            take(block, found)
            if drop:
                self._files.drop(block)
        log.info("ray.blocks", missing=len(missing), texts=len(texts))

        def take_done(answer: dict[str, Any]) -> None:
            self._take_done(missing[answer["block"]], take, drop=drop)

        if missing:
            self._compute(missing.values(), take_done)
        self._files.clear()

    def _take_done(self, block: TextBlock, take: Take, *, drop: bool) -> None:
        found = self._files.read(block)
        # Another run that shares the folder may have cleared it.
        take(block, self._local.encode(block.texts) if found is None else found)
        if drop:
            self._files.drop(block)

    def _compute(
        self, blocks: Iterable[TextBlock], on_answer: Callable[[dict[str, Any]], None]
    ) -> None:
        """Have the cluster write the files of ``blocks``, and tell each when it is there."""
        with tempfile.TemporaryDirectory(prefix=PLACE_PREFIX) as place:
            self._write_job(Path(place), list(blocks))
            answer = self._cluster.ask("encode", Path(place), on_answer)
        if not answer["same"]:
            log.warning("ray.vectors_near", why="processors differ; cosine is at least 0.9999")

    def _write_job(self, place: Path, blocks: list[TextBlock]) -> None:
        probe = blocks[0].texts[:_PROBE_TEXTS]
        head = {
            "identity": self.identity,
            "model": str(self._model_dir.resolve()),
            "folder": str(self._files.folder.resolve()),
            "probe": probe,
        }
        with storage_errors("write", place):
            np.save(place / "probe.npy", self._local.encode(probe), allow_pickle=False)
            with (place / "job.jsonl").open("wb") as job:
                job.write(json.dumps(head).encode() + b"\n")
                job.writelines(block.line() for block in blocks)
