"""A model that runs batches of token ids becomes an encoder that keeps every core busy."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.token_batches import TokenBatch, TokenBatches
from training_service.adapters.encoders.tokenising import Tokenising
from training_service.domain.vectors import Matrix, bad_rows, unit_rows
from training_service.errors import ArtifactError, shown
from training_service.ports import Progress, no_progress

RunBatch = Callable[[npt.NDArray[np.int64]], Matrix]
"""Token ids (b, length) to sentence embeddings (b, d); called from several threads at once."""

_WAITING_PER_CORE = 4


class BatchedEncoder:
    """Texts batched by exact token length, so that a vector does not depend on its neighbours.

    One thread per core runs whole batches, measured faster than one batch spread over the cores;
    meanwhile the next texts are tokenised. What is held beside the result is bounded.
    """

    def __init__(self, tokenising: Tokenising, run: RunBatch, identity: str) -> None:
        """Encode what ``tokenising`` makes of texts by ``run``, which is tried once."""
        self._tokenising = tokenising
        self._run = run
        self._identity = identity
        probe = np.array(tokenising.ids(["a"]), dtype=np.int64)
        self._dimension = int(run(probe).shape[1])

    @property
    def identity(self) -> str:
        """Digest of the base model, precision and runtime."""
        return self._identity

    @property
    def dimension(self) -> int:
        """The width of the model's output."""
        return self._dimension

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        """Unit vectors (n, d); equal texts are encoded once. ``ArtifactError`` for a NaN or zero.

        Progress counts the texts asked for, repeated ones included.
        """
        result = np.zeros((len(texts), self._dimension), dtype=np.float32)
        batches = TokenBatches(self._tokenising, texts)
        for batch, rows in _in_turn(self._run, batches):
            vectors = unit_rows(rows)
            if faulty := bad_rows(vectors):
                text = texts[int(batch.places[faulty[0]])]
                message = f"the model gives no direction for the text {shown(text)}"
                raise ArtifactError(
                    message, hint="its vector is zero or not finite; check the model"
                )
            result[batch.places] = vectors
            progress(len(batch.places))
        for place, first in batches.repeated:
            result[place] = result[first]
        progress(len(batches.repeated))
        return result

    def unread(self, texts: Sequence[str]) -> list[float]:
        """The share of each text's tokens that are the one for unknown words."""
        return self._tokenising.unread(texts)


def _in_turn(run: RunBatch, batches: Iterable[TokenBatch]) -> Iterator[tuple[TokenBatch, Matrix]]:
    """Each batch with its rows, in order, while the next ones are on their way."""
    cores = usable_cores()
    running: deque[tuple[TokenBatch, Future[Matrix]]] = deque()
    pool = ThreadPoolExecutor(max_workers=cores)
    try:
        for batch in batches:
            running.append((batch, pool.submit(run, batch.ids)))
            if len(running) > _WAITING_PER_CORE * cores:
                done, rows = running.popleft()
                yield done, rows.result()
        for done, rows in running:
            yield done, rows.result()
    finally:
        pool.shutdown(cancel_futures=True)


def usable_cores() -> int:
    """The cores this process may use, where the system tells, else those of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
