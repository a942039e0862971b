"""What runs on the machines of a Ray cluster: blocks of texts become vectors."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training_service.adapters.encoders.loading import open_encoder
from training_service.domain.digest import file_sha256
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError, TrainError

if TYPE_CHECKING:
    import pyarrow as pa

    from training_service.ports import Encoder

LEAST_COSINE = 0.9999


@dataclass(frozen=True)
class ShippedModel:
    """A model folder, as the workers find or unpack it.

    ``sha256`` has the digest of every file by its relative name, ``contents`` the same files in
    the object store; without contents the folder must be there.
    """

    folder: str
    sha256: dict[str, str]
    contents: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> ShippedModel:
        """The model in ``folder``, its files not yet in the object store."""
        return cls(str(folder), folder_digests(folder), {})

    def stored(self) -> ShippedModel:
        """The same with its files in the object store, for machines that lack the folder."""
        import ray

        folder = Path(self.folder)
        contents = {name: ray.put((folder / name).read_bytes()) for name in self.sha256}
        return replace(self, contents=contents)

    def opened(self) -> Encoder:
        """The encoder, of the folder where this machine has it, else of an unpacked copy."""
        folder = Path(self.folder)
        if not self.contents or (folder.is_dir() and folder_digests(folder) == self.sha256):
            return open_encoder(folder)
        with tempfile.TemporaryDirectory(prefix="train-model-") as place:
            self._unpack(Path(place))
            return open_encoder(Path(place))

    def _unpack(self, folder: Path) -> None:
        import ray

        for name, content in self.contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(ray.get(content))
        if folder_digests(folder) != self.sha256:
            message = "the model did not arrive whole from the object store"
            raise ArtifactError(message, hint="check the memory and the disk of the cluster")


@dataclass(frozen=True)
class Probe:
    """Texts with the vectors (n, d) that the encoder called ``identity`` gives them at home."""

    identity: str
    texts: tuple[str, ...]
    vectors: Matrix

    def is_same(self, encoder: Encoder) -> bool:
        """Whether ``encoder`` gives the same bits; ``ArtifactError`` when it is another one."""
        if encoder.identity != self.identity:
            what = f"found {encoder.identity}, expected {self.identity}"
            message = f"a machine of the cluster opens another encoder: {what}"
            raise ArtifactError(message, hint="install the same training-service everywhere")
        found = encoder.encode(self.texts)
        cosine = float(np.einsum("nd,nd->n", found, self.vectors).min())
        if not cosine >= LEAST_COSINE:
            message = f"a machine of the cluster gives other vectors: cosine {cosine:.6f}"
            hint = f"at least {LEAST_COSINE} is needed; use processors and packages of one kind"
            raise ArtifactError(message, hint=hint)
        return np.array_equal(found, self.vectors)


class BlockEncoder:
    """An actor of Ray Data: it opens the model once and encodes one block after the other."""

    def __init__(self, model: ShippedModel, probe: Probe) -> None:
        """Nothing is opened yet: what fails here reaches nobody, what fails in a block does."""
        self._model = model
        self._probe = probe
        self._encoder: Encoder | None = None
        self._is_same = False

    def __call__(self, blocks: pa.Table) -> pa.Table:
        """``key`` and ``texts`` (JSON) of blocks become ``key``, ``vectors``, ``same``, ``error``.

        An error of ours is an answer: Ray would try again, and tell its cause as text only.
        """
        import pyarrow as pa

        rows = [{"key": row["key"], **self._answer(row["texts"])} for row in blocks.to_pylist()]
        return pa.Table.from_pylist(rows)

    def _answer(self, texts: bytes) -> dict[str, Any]:
        try:
            vectors = self._opened().encode(json.loads(texts))
        except TrainError as error:
            told = {"reason": error.reason, "what": str(error)}
            return {"vectors": b"", "same": False, "error": json.dumps(told)}
        content = np.ascontiguousarray(vectors).tobytes()
        return {"vectors": content, "same": self._is_same, "error": ""}

    def _opened(self) -> Encoder:
        if self._encoder is None:
            encoder = self._model.opened()
            self._is_same = self._probe.is_same(encoder)
            self._encoder = encoder
        return self._encoder


class ShardFiller:
    """An actor of Ray Data: it adds rows of a vector file to copies of a trained index."""

    def __init__(self, trained: Any, vectors: str) -> None:  # noqa: ANN401 - Ray's reference
        """``trained`` is a FAISS index without rows in the object store, ``vectors`` an .npy."""
        self._trained = trained
        self._vectors = vectors

    def __call__(self, shards: pa.Table) -> pa.Table:
        """``start`` and ``stop`` of row ranges become ``shard`` (a FAISS index) and ``error``."""
        import pyarrow as pa

        return pa.Table.from_pylist([self._answer(**row) for row in shards.to_pylist()])

    def _answer(self, start: int, stop: int) -> dict[str, Any]:
        import faiss
        import ray

        index = faiss.deserialize_index(np.frombuffer(ray.get(self._trained), dtype=np.uint8))
        try:
            matrix = np.load(self._vectors, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            what = f"a machine of the cluster cannot read {self._vectors} ({error.strerror})"
            told = {
                "reason": ArtifactError.reason,
                "what": f"{what}; put ray_shared_dir where all reach it",
            }
            return {"shard": b"", "error": json.dumps(told)}
        index.add(np.ascontiguousarray(matrix[start:stop]))
        return {"shard": faiss.serialize_index(index).tobytes(), "error": ""}


def folder_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below ``folder`` by its relative POSIX name."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}
