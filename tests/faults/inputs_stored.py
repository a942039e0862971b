"""One file of a store is damaged, and the manifest made to agree, as an attacker would."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from tests.support.bad_inputs import FOLDER
from tests.support.manifests import write_sealed
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.vectors import Vectors

OF_THE_STORE = frozenset({"promotions", "pending_reload.json", ".lock.owner.json"})
PENDING = {
    "version": "v20261120",
    "manifest_sha256": "a" * 64,
    "since": "2026-11-20T12:00:00+00:00",
    "attempts": 3,
    "detail": "refused the connection",
    "schema_version": 1,
}
_OPTIONAL = frozenset({"reasons", "champion", "gate"})
_MARK = "the value that the case gives"


@dataclass(frozen=True)
class Damage:
    """What is done to ``file``; see the head of ``stored/expectations.yaml``."""

    file: str
    at: tuple[str | int, ...] = ()
    json: str = ""
    drop: bool = False
    raw: str | None = None
    whole: str = ""
    array: str = ""
    line: str = ""
    nonsense: bool = False

    @property
    def name(self) -> str:
        """What is done, in a few words."""
        where = ".".join(map(str, self.at))
        what = self.whole or self.array or ("dropped" if self.drop else self.json or self.raw)
        return f"{self.file} {where} {what!r:.60}"

    @property
    def pattern(self) -> str:
        """What the refusal must name."""
        return self.line or re.escape(self.file.rpartition("/")[2])

    @property
    def is_of_version(self) -> bool:
        """Whether a version is damaged, and not what stands beside the versions."""
        return self.file not in OF_THE_STORE


def damages() -> list[Damage]:
    """Every case."""
    text = (FOLDER / "stored" / "expectations.yaml").read_text(encoding="utf-8")
    return [
        Damage(**{**case, "at": tuple(case.get("at", ())), "nonsense": bool(case.get("nonsense"))})
        for case in yaml.safe_load(text)
    ]


def damage(store: Path, case: Damage) -> None:
    """Do what ``case`` says to the version in service, or to the store."""
    version = store / (store / "latest").readlink()
    if case.file == "promotions":
        path = next((store / "promotions").iterdir())
    else:
        path = (version if case.is_of_version else store) / case.file
    if not path.exists():
        path.write_text(json.dumps(PENDING), encoding="utf-8")
    if case.array:
        _ARRAYS[case.file](path, case.array)
    else:
        path.write_bytes(_damaged(path.read_bytes(), case))
    if case.is_of_version and case.file != "manifest.json":
        agree(version)


def agree(version: Path) -> None:
    """Give every file of ``version``, new ones too, its true size and digest in the manifest."""
    path = version / "manifest.json"
    manifest = json.loads(path.read_bytes())
    found = {
        str(file.relative_to(version)): file.read_bytes()
        for file in sorted(version.rglob("*"))
        if file.is_file() and file != path and "chroma" not in file.relative_to(version).parts
    }
    manifest["files"] = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in found.items()
    }
    write_sealed(path, manifest)


def _damaged(data: bytes, case: Damage) -> bytes:
    if case.raw is not None:
        return case.raw.encode()
    if case.whole:
        return _WHOLE[case.whole](data)
    head, _, tail = data.partition(b"\n") if case.file.endswith(".jsonl") else (data, b"", b"")
    document = json.loads(head)
    container: Any = document
    for key in case.at[:-1]:
        container = container.setdefault(key, {}) if key in _OPTIONAL else container[key]
    if case.drop:
        del container[case.at[-1]]
    else:
        container[case.at[-1]] = _MARK
    text = json.dumps(document, indent=None if tail else 1)
    return text.replace(f'"{_MARK}"', case.json).encode() + (b"\n" + tail if tail else b"")


def _nested(data: bytes) -> bytes:
    return b'{"a":' * 5000 + data + b"}" * 5000


def _nested_scorecard(data: bytes) -> bytes:
    deep = json.loads("[" * 300 + "]" * 300)
    return json.dumps({**json.loads(data), "scorecard": {"reasons": deep}}).encode()


_WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "doubled": lambda data: data + data,
    "zeros": lambda data: bytes(len(data)),
    "head-ff": lambda data: data[:8] + b"\xff" * 32 + data[40:],
    "bom": lambda data: b"\xef\xbb\xbf" + data,
    "utf-16": lambda data: data.decode("latin-1").encode("utf-16"),
    "latin-1": lambda data: b'{"\xe4": 1, ' + data[1:],
    "nested": _nested,
    "nested-scorecard": _nested_scorecard,
}


def _damage_index(path: Path, how: str) -> None:
    held = FaissIndex.load(path).vectors()
    matrix, ids = held.matrix.copy(), held.ids.copy()
    if how == "nan":
        matrix[0] = np.nan
    elif how == "infinite":
        matrix[0, 0] = np.inf
    elif how == "scaled":
        matrix *= 1000
    elif how == "fewer":
        matrix, ids = matrix[1:], ids[1:]
    elif how == "other-ids":
        ids = ids + 1
    elif how == "other-width":
        matrix = np.ascontiguousarray(matrix[:, :-1])
    path.write_bytes(_index_bytes(Vectors(ids, matrix)))


def _index_bytes(vectors: Vectors) -> bytes:
    """What ``FaissIndex`` writes, of vectors that it would refuse."""
    import faiss

    index = faiss.IndexIDMap(faiss.IndexFlatL2(vectors.dimension))
    index.add_with_ids(np.ascontiguousarray(vectors.matrix), vectors.ids)
    data: bytes = faiss.serialize_index(index).tobytes()
    return data


def _damage_lexical(path: Path, how: str) -> None:
    from safetensors.numpy import load, save

    if how == "extra-huge-header":
        path.write_bytes((2**40).to_bytes(8, "little") + path.read_bytes()[8:])
        return
    arrays: dict[str, npt.NDArray[Any]] = {
        name: array.copy() for name, array in load(path.read_bytes()).items()
    }
    name, _, what = how.partition("-")
    if name == "missing":
        del arrays[what]
    elif what in _VALUES:
        arrays[name][:] = _VALUES[what]
    else:
        arrays[name] = _SHAPES[what](arrays[name])
    path.write_bytes(save(arrays))


_VALUES = {"nan": np.nan, "huge": 3e38, "negative": -1, "out": 2**30}
_SHAPES: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "short": lambda array: array[:-1],
    "float64": lambda array: array.astype(np.float64),
    "falling": lambda array: array[::-1].copy(),
}
_ARRAYS = {"index.faiss": _damage_index, "lexical.safetensors": _damage_lexical}
