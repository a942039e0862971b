"""The driver of a Ray cluster: a job file becomes vectors of blocks, or a filled index.

A process of its own, run by ``ray_process``: Ray takes over signals and the log. It ends when its
stdin does, and gently: agents of a Ray node that is killed stay for a minute.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training_service.adapters import ray_cluster
from training_service.adapters.child import answer, send
from training_service.adapters.ray_blocks import write_block
from training_service.adapters.ray_workers import BlockEncoder, Probe, ShardFiller, ShippedModel
from training_service.errors import TrainError

if TYPE_CHECKING:
    import pyarrow as pa


_GENTLE_S = 6
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Do what the second argument names: ``encode`` or ``fill``."""
    sys.exit(answer(_work, sys.argv[1:]))


def _work(arguments: list[str]) -> dict[str, Any]:
    name, address, place = arguments
    over = threading.Event()
    threading.Thread(target=_end_with_stdin, args=(over,), daemon=True).start()
    _be_asked_first()
    with ray_cluster.joined(address, Path(place)):
        result = (
            _fill(Path(place)) if name == "fill" else _encode(Path(place), is_shared=bool(address))
        )
    over.set()
    return {**result, "done": True}


def _be_asked_first() -> None:
    """Have the kernel ask this process to end when the parent does, where others are killed."""
    function = getattr(ctypes.CDLL(None), "prctl", None)
    if function is not None:
        function(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _end_with_stdin(over: threading.Event) -> None:
    """Have this process end, shutting Ray down, when the parent gives up or is gone."""
    while os.read(0, 1 << 16):  # unbuffered: the end of the process may not wait for a lock
        pass
    if not over.is_set():
        signal.alarm(_GENTLE_S)
        os.kill(os.getpid(), signal.SIGTERM)


def _encode(place: Path, *, is_shared: bool) -> dict[str, Any]:
    """Blocks of texts to files of vectors; each is told as soon as its file is there."""
    with (place / "job.jsonl").open("rb") as job:
        head = json.loads(next(job))
        rows = [_row(line) for line in job]
    vectors = np.load(place / "probe.npy", allow_pickle=False)
    probe = Probe(head["identity"], tuple(head["probe"]), vectors)
    model = ShippedModel.of(Path(head["model"]))
    work = (model.stored() if is_shared else model, probe)
    same = True
    for table in _mapped(rows, BlockEncoder, work):
        for row in table.to_pylist():
            _raise_told(row["error"])
            matrix = np.frombuffer(row["vectors"], dtype=np.float32)
            matrix = matrix.reshape(-1, vectors.shape[1])
            write_block(Path(head["folder"]), row["key"], matrix)
            same = same and row["same"]
            send({"block": row["key"]})
    return {"same": same}


def _row(line: bytes) -> dict[str, Any]:
    block = json.loads(line)
    return {"key": block["key"], "texts": json.dumps(block["texts"]).encode()}


def _raise_told(error: str) -> None:
    """Raise what a worker told as its answer."""
    if error:
        told = json.loads(error)
        raise ray_cluster.error_for(told["reason"], told["what"]) or TrainError(told["what"])


def _fill(place: Path) -> dict[str, Any]:
    """A trained, empty index becomes one that holds the rows of a vector file, in their order."""
    import faiss
    import ray
    import ray.data

    job = json.loads((place / "job.json").read_bytes())
    trained = (place / "trained.faiss").read_bytes()
    starts = range(0, job["rows"], job["shard_rows"])
    parts = [{"start": i, "stop": min(i + job["shard_rows"], job["rows"])} for i in starts]
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    whole = faiss.deserialize_index(np.frombuffer(trained, dtype=np.uint8))
    for table in _mapped(parts, ShardFiller, (ray.put(trained), job["vectors"])):
        for row in table.to_pylist():
            _raise_told(row["error"])
            shard = faiss.deserialize_index(np.frombuffer(row["shard"], dtype=np.uint8))
            rows = shard.ntotal
            whole.merge_from(shard, whole.ntotal if isinstance(whole, faiss.IndexIVF) else 0)
            send({"rows": rows})
    faiss.write_index(whole, str(place / "filled.faiss"))
    return {}


def _mapped(
    rows: list[dict[str, Any]], actor: type, arguments: tuple[Any, ...]
) -> Iterator[pa.Table]:
    """What ``actor`` makes of each row; an actor takes a whole machine.

    Encoder and FAISS run a thread per core themselves, so a machine holds the model once.
    """
    import ray.data

    per_actor, actors = _actors()
    results = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        actor,
        fn_constructor_args=arguments,
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
        num_cpus=per_actor,
    )
    try:
        yield from results.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        )
    except TrainError:
        raise
    except Exception as problem:
        raise ray_cluster.given_up(problem) from problem


def _actors() -> tuple[int, int]:
    """The CPUs of an actor, and how many actors fit: one a machine where all are alike."""
    sizes = (int(machine["Resources"].get("CPU", 0)) for machine in ray_cluster.machines())
    cpus = sorted(size for size in sizes if size) or [1]
    return cpus[0], sum(each // cpus[0] for each in cpus)


if __name__ == "__main__":
    main()
