"""Text to unit vectors by ONNX Runtime and tokenizers, without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training_service.domain.model import ONNX_FILE
from training_service.domain.vectors import Matrix, bad_rows, unit_rows
from training_service.errors import ArtifactError, shown
from training_service.ports import Progress, no_progress

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_BATCH_TOKENS = 512
_TOKENIZE_TEXTS = 8192
_LONGEST = 512

_Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Batch:
    """Texts of one token length: their places among the distinct texts, and ids (b, length)."""

    places: npt.NDArray[np.int64]
    tokens: _Tokens


class OnnxEncoder:
    """The ONNX export of a sentence-transformers model.

    Texts are batched by exact token length, so nothing is padded and a vector does not depend on
    its neighbours in a batch. One thread per core runs whole batches: measured faster than one
    batch spread over the cores.
    """

    def __init__(self, model_dir: Path, model_sha256: str) -> None:
        """Open the export in ``model_dir``; ``ArtifactError`` when it does not load."""
        self._identity = f"{model_sha256[:16]}:fp32:onnx"
        self._prompt = _default_prompt(model_dir)
        self._tokenizer = _tokenizer(model_dir)
        self._session = _session(model_dir / ONNX_FILE)
        self._inputs = frozenset(each.name for each in self._session.get_inputs())
        probe = _batches(self._tokenize(["a"]))[0]
        self._dimension = int(self._run(probe).shape[1])

    @property
    def identity(self) -> str:
        """Digest of the base model, precision and runtime."""
        return self._identity

    @property
    def dimension(self) -> int:
        """The width of the export's output."""
        return self._dimension

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        """Unit vectors (n, d); equal texts are encoded once. ``ArtifactError`` for a NaN or zero.

        Progress counts the texts asked for, repeated ones included.
        """
        counts: dict[str, int] = {}
        for text in texts:
            counts[text] = counts.get(text, 0) + 1
        distinct = list(counts)
        vectors = self._vectors(distinct, progress, list(counts.values()))
        if faulty := bad_rows(vectors):
            message = f"the model gives no direction for the text {shown(distinct[faulty[0]])}"
            raise ArtifactError(message, hint="its vector is zero or not finite; check the model")
        place = {text: i for i, text in enumerate(distinct)}
        return vectors[np.array([place[text] for text in texts], dtype=np.int64)]

    def _vectors(self, texts: list[str], progress: Progress, counts: list[int]) -> Matrix:
        result = np.zeros((len(texts), self._dimension), dtype=np.float32)
        batches = _batches(self._tokenize(texts))
        pool = ThreadPoolExecutor(max_workers=_cores())
        try:
            for batch, rows in zip(batches, pool.map(self._run, batches), strict=True):
                result[batch.places] = rows
                progress(sum(counts[place] for place in batch.places))
        finally:
            pool.shutdown(cancel_futures=True)
        return unit_rows(result)

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        tokens: list[list[int]] = []
        for start in range(0, len(texts), _TOKENIZE_TEXTS):
            chunk = [self._prompt + text for text in texts[start : start + _TOKENIZE_TEXTS]]
            tokens += [each.ids for each in self._tokenizer.encode_batch_fast(chunk)]
        return tokens

    def _run(self, batch: _Batch) -> Matrix:
        features = {
            "input_ids": batch.tokens,
            "attention_mask": np.ones_like(batch.tokens),
            "token_type_ids": np.zeros_like(batch.tokens),
        }
        taken = {name: features[name] for name in features if name in self._inputs}
        return np.asarray(self._session.run(None, taken)[0], dtype=np.float32)


def _batches(tokens: list[list[int]]) -> list[_Batch]:
    """Batches of about 512 tokens, long texts first so that no core ends on a long one."""
    by_length: dict[int, list[int]] = {}
    for place, ids in enumerate(tokens):
        by_length.setdefault(len(ids), []).append(place)
    batches = []
    for length in sorted(by_length, reverse=True):
        places = by_length[length]
        size = max(1, _BATCH_TOKENS // length)
        for start in range(0, len(places), size):
            part = places[start : start + size]
            rows = np.array([tokens[place] for place in part], dtype=np.int64)
            batches.append(_Batch(np.array(part, dtype=np.int64), rows))
    return batches


def _cores() -> int:
    """The cores this process may use, where the system tells, else those of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _runtime() -> ModuleType:
    """ONNX Runtime, kept from telling its makers which models run here.

    Its Linux builds do so unasked since 1.29, and leave an id in the home folder. The variable has
    to be there before the library is loaded.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # noqa: TID251 - for the library, nothing is read
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    module: ModuleType = onnxruntime
    return module


def _session(path: Path) -> InferenceSession:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        message = f"{path}: ONNX Runtime cannot load it ({shown(str(error))})"
        raise ArtifactError(message, hint="build the version again") from error


def _tokenizer(model_dir: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    path = model_dir / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        message = f"{path}: the tokenizer does not load ({shown(str(error))})"
        raise ArtifactError(message, hint="copy the base model again") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(_longest(model_dir))
    return tokenizer


def _longest(model_dir: Path) -> int:
    """The token limit of sentence-transformers: its own file first, then the tokenizer's."""
    own = _config(model_dir, "sentence_bert_config.json").get("max_seq_length")
    limit = own or _config(model_dir, "tokenizer_config.json").get("model_max_length")
    positions = _config(model_dir, "config.json").get("max_position_embeddings")
    return int(min(limit or _LONGEST, positions or _LONGEST))


def _default_prompt(model_dir: Path) -> str:
    config = _config(model_dir, "config_sentence_transformers.json")
    prompts = config.get("prompts")
    name = config.get("default_prompt_name")
    return str(prompts.get(name) or "") if isinstance(prompts, dict) and name else ""


def _config(model_dir: Path, name: str) -> dict[str, Any]:
    """A JSON object of the model folder, empty when the model has no such file."""
    path = model_dir / name
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        message = f"{path}: unreadable ({shown(str(error))})"
        raise ArtifactError(message, hint="copy the base model again") from error
    return found if isinstance(found, dict) else {}
