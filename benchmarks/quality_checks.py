"""A data set made harder -> what becomes of foreign queries, turned verdicts and less feedback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from benchmarks.quality_figures import interval, right, top1
from benchmarks.quality_worlds import (
    Trained,
    Trial,
    flipped,
    marks,
    questions,
    thinned,
    train,
)
from training_service.domain.records import normalise

REMOVED = 27
TOLD = 14
FLIPPED = 0.1
SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)
_SEEDS = (5, 6, 7)
Figures = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where trials are trained, with one cache for all, and how many draws are made.

    ``deep_budget`` is what tuning the encoder may cost, where that is to be tried; ``salt`` parts
    the data.
    """

    folder: Path
    draws: int
    deep_budget: str | None = None
    salt: str = ""

    def train(self, trial: Trial, name: str, *options: str) -> Trained:
        """Train ``trial`` in the folder of that name."""
        return train(trial, self.folder / trial.name / name, self.folder / "cache", *options)


def scope(data: Path, place: Place) -> list[Figures]:
    """Foreign queries rejected and known ones lost, with 27 intents that are no concepts.

    Once without a word on them, and once where the feedback marks the questions of half of them.
    """
    draws = [(draw, told) for told in (0, TOLD) for draw in range(place.draws)]
    return [_scope(data, place, draw, told) for draw, told in draws]


def _scope(data: Path, place: Place, draw: int, told: int) -> Figures:
    salt = f"scope {draw}{place.salt}"
    trial = questions(data, REMOVED, salt, told)
    marked = f"-told-{told}" if told else ""
    done = place.train(trial, f"scope-{draw}{place.salt}{marked}")
    rejected = [answer.decision == "reject" for answer in done.answers]
    hits = right(done.answers, trial)
    of = marks(data, REMOVED, salt, told)
    known = [out for out, mark in zip(rejected, of, strict=True) if mark == "known"]
    unmarked = [out for out, mark in zip(rejected, of, strict=True) if mark == "foreign"]
    lost = sum(hit and out for hit, out in zip(hits, rejected, strict=True))
    found: Figures = {
        "draw": draw,
        "told": told,
        "foreign": len(unmarked),
        "foreign_rejected": round(sum(unmarked) / len(unmarked), 4),
        "foreign_rejected_ci95": interval(sum(unmarked), len(unmarked)),
        "known": len(known),
        "known_lost": round(sum(known) / len(known), 4),
        "right_lost": round(lost / len(known), 4),
        "known_top1": round(sum(hits) / len(known), 4),
    }
    if told:
        seen = [out for out, mark in zip(rejected, of, strict=True) if mark == "told"]
        found["told_rejected"] = round(sum(seen) / len(seen), 4)
    return found


def flips(trial: Trial, place: Place) -> list[Figures]:
    """Loss of top-1 with one verdict in ten turned round, and how many are listed as slips."""
    clean = top1(place.train(trial, "default").answers, trial)
    found = []
    for seed in _SEEDS[: place.draws]:
        noisy, turned = flipped(trial, FLIPPED, seed)
        done = place.train(noisy, f"flips-{seed}")
        slips = cast("list[dict[str, str]]", done.evidence()["slips"])
        listed = {(normalise(slip["query"]), slip["key"]) for slip in slips}
        share = top1(done.answers, noisy)
        found.append(
            {
                "seed": seed,
                "top1": round(share, 4),
                "loss": round(clean - share, 4),
                "rows": len(noisy.feedback),
                "flips": len(turned),
                "listed": len(listed),
                "flips_listed": len(listed & turned),
                "share_of_flips": round(len(listed & turned) / max(1, len(turned)), 4),
            }
        )
    return found


def curve(trial: Trial, place: Place) -> list[Figures]:
    """Top-1 on all that is asked against the share of the feedback that is given."""
    found = []
    for share in SHARES:
        thin = thinned(trial, share)
        done = place.train(thin, "default" if share == 1 else f"curve-{share:g}")
        hits = sum(right(done.answers, thin))
        found.append(
            {
                "share": share,
                "rows": len(thin.feedback),
                "top1": round(hits / len(thin.asked), 4),
                "top1_ci95": interval(hits, len(thin.asked)),
            }
        )
    return found


def plot(curves: dict[str, Sequence[Figures]], target: Path) -> None:
    """Draw the learning curves of all data sets, with their 95 % intervals."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.use("Agg")
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, points in curves.items():
        rows = [point["rows"] for point in points]
        axes.plot(rows, [point["top1"] for point in points], marker="o", label=name)
        low, high = zip(*(point["top1_ci95"] for point in points), strict=True)
        axes.fill_between(rows, low, high, alpha=0.15)
    axes.set_xlabel("feedback rows")
    axes.set_ylabel("top-1 on unseen queries")
    axes.set_xscale("symlog", linthresh=100)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(target)
