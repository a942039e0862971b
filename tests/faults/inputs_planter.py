"""Links that appear between the steps of a run."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.faults.inputs_hostile import Surroundings, replaced_by_link
from tests.support.worlds import World

STAGED = (
    "model",
    "snapshot",
    "chroma",
    "metrics.json",
    "manifest.json",
    "meta.json",
    "index.faiss",
    "thresholds.json",
    "lexical.safetensors",
    "model/encoder.json",
    "model/hashing.json",
    "snapshot/feedback.jsonl",
)


class Planter(threading.Thread):
    """Puts links where a run is about to write, until it is over."""

    def __init__(self, world: World, around: Surroundings, seed: int) -> None:
        super().__init__(daemon=True)
        self._store = world.store
        self._targets = list(around.targets.values())
        self._rng = random.Random(seed)
        self.is_over = threading.Event()
        self.count = 0
        self.last = ""

    def run(self) -> None:
        of_store = ["runs", "pending_reload.json", ".lock.owner.json", "promotions"]
        chosen = self._rng.sample(of_store, self._rng.randint(0, 1)) + self._rng.sample(STAGED, 2)
        delay_s = self._rng.uniform(0, 0.2)
        while not self.is_over.wait(0.0005):
            time.sleep(delay_s)
            delay_s = 0.0
            for staging in (self._store / ".staging").glob("*"):
                chosen = [name for name in chosen if not self._planted(staging, name)]
            if not chosen:
                return

    def _planted(self, staging: Path, name: str) -> bool:
        path = staging / name if name in STAGED else self._store / name
        with suppress(OSError):
            if not os.path.lexists(path.parent) or path.parent.is_symlink():
                return False
            replaced_by_link(path, self._rng.choice(self._targets))
            self.count += 1
            self.last += f" {name}"
            return True
        return False
