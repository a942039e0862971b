"""How good is what feedback buys: ours rung by rung, and others on the same data.

    python -m benchmarks.quality DATA... [--sample] [--only NAME] [--peers PYTHON] [--quick]
        [--deep BUDGET] [--salt TEXT] [--work FOLDER] [--plot FILE.png] [--json FILE]

DATA is a folder with ``canonical.json``, ``feedback.csv`` and, where there are truths,
``labelled_queries.csv`` (``query``, ``canonical_ids`` with ``|`` between ids): half of the
queries, by a hash, give their feedback, the others are asked. Or one with ``train.csv`` and
``test.csv`` (``text``, ``category``): ten training questions of each category are its synonyms,
the others confirmed feedback, the test is asked. ``--sample`` adds the sample data of this
repository. All run through ``train full-train`` and ``train match`` with the defaults; only the
gate is lenient.

``--only``: ``table`` (all learners), ``scope`` (27 categories are no concepts; categories only),
``flips`` (one verdict in ten turned round), ``curve`` (less feedback); everything by default.
Each draw of scope and flips is made three times, with ``--quick`` once. ``--salt`` parts the data
otherwise. ``--deep`` adds what ``--learn deep`` makes of such a budget (``40m``) to the table.
``--peers`` is an interpreter with semantic-router, which is left out without it. The runs share
one cache of vectors: what comes first pays for encoding. ``--work`` keeps all that was trained,
and does not train it again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import quality_checks as checks
from benchmarks.quality_figures import coverage_at, interval, right
from benchmarks.quality_pages import show
from benchmarks.quality_peers import Peer, has_router, peers, routers
from benchmarks.quality_worlds import Answer, Trained, Trial, halves, read

PARTS = ("table", "scope", "flips", "curve")
TARGET_PRECISION = 0.95
_ROOT = Path(__file__).parent.parent
Figures = dict[str, Any]


def main() -> None:
    """Measure what is asked for and print it; each part is written as soon as it is known."""
    given = _parser().parse_args()
    if given.peers and not has_router(given.peers):
        raise SystemExit(f"no semantic-router in {given.peers}")
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = (given.work or Path(folder)).resolve()
        place = checks.Place(work, 1 if given.quick else 3, given.deep, given.salt)
        for data, trial in _trials(given.data, given.salt, is_sample=given.sample):
            figures = found.setdefault(trial.name, _size(trial))
            for part in (given.only,) if given.only else PARTS:
                _measure(part, (data, trial), figures, (place, given.peers))
                show(trial.name, part, figures)
                _save(found, given.json)
    if given.plot:
        checks.plot({name: f["curve"] for name, f in found.items() if "curve" in f}, given.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--peers", type=Path, metavar="PYTHON")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--deep", metavar="BUDGET")
    parser.add_argument("--salt", default="", metavar="TEXT")
    parser.add_argument("--work", type=Path, metavar="FOLDER")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    return parser


def _trials(
    folders: Sequence[Path], salt: str, *, is_sample: bool
) -> Iterator[tuple[Path, Trial]]:
    for data in folders:
        yield data, _salted(read(data.resolve(), salt), salt)
    if is_sample:
        files = (_ROOT / "canonical" / "canonical.json", _ROOT / "feedback" / "feedback.csv")
        yield _ROOT, _salted(halves("sample", files, None, salt), salt)


def _salted(trial: Trial, salt: str) -> Trial:
    """``trial`` under a name of its own where it is parted otherwise."""
    return replace(trial, name=f"{trial.name}-{salt}") if salt else trial


def _size(trial: Trial) -> Figures:
    texts = sum(len(own) for own in trial.canonical.values())
    return {
        "concepts": len(trial.canonical),
        "texts": texts,
        "feedback": len(trial.feedback),
        "asked": len(trial.asked),
    }


def _measure(
    part: str,
    what: tuple[Path, Trial],
    figures: Figures,
    where: tuple[checks.Place, Path | None],
) -> None:
    """Put the figures of ``part`` into ``figures``."""
    (data, trial), (place, python) = what, where
    if part == "table":
        figures.update(table(trial, place, python))
    elif part == "scope" and (data / "train.csv").is_file():
        figures["scope"] = checks.scope(data, place)
    elif part == "flips":
        figures["flips"] = checks.flips(trial, place)
    elif part == "curve":
        figures["curve"] = checks.curve(trial, place)


def table(trial: Trial, place: checks.Place, python: Path | None) -> Figures:
    """Ours by default and pooled, and the others, on all that is asked."""
    from training_service.wiring import open_matcher

    ours = place.train(trial, "default")
    pooled = place.train(trial, "pooled", "--learn", "pooled")
    rows = [_own("ours, default", ours, trial), _own("ours, --learn pooled", pooled, trial)]
    if place.deep_budget:
        budget = ("--learn", "deep", "--learn-budget", place.deep_budget)
        deep = place.train(trial, f"deep-{place.deep_budget}", *budget)
        rows.append(_own("ours, --learn deep", deep, trial))
    own = len(rows)
    # A name that says something is a text of its concept as well: all see the same texts.
    same = replace(trial, canonical=ours.texts())
    others = [*peers(same, open_matcher(ours.version).encoder)]
    if python is not None:
        others += routers(same, python, ours.folder)
    rows += [_row(peer, trial) for peer in others]
    best = max(rows[own:], key=lambda row: row["coverage"])
    return {
        "rungs": ours.evidence()["rungs"],
        "learners": rows,
        "accept": _accepted(ours.answers, trial),
        "best_peer": {"name": best["name"], "coverage": best["coverage"]},
    }


def _own(name: str, done: Trained, trial: Trial) -> Figures:
    row = _row(Peer(name, done.answers, done.train_s + done.match_s), trial)
    return {**row, "train_s": done.train_s, "steps_s": done.steps_s}


def _row(peer: Peer, trial: Trial) -> Figures:
    hits = right(peer.answers, trial)
    cover = coverage_at(hits, [answer.score for answer in peer.answers], TARGET_PRECISION)
    return {
        "name": peer.name,
        "seconds": round(peer.seconds, 1),
        "top1": round(sum(hits) / len(hits), 4),
        "top1_ci95": interval(sum(hits), len(hits)),
        "coverage": round(cover, 4),
    }


def _accepted(answers: Sequence[Answer], trial: Trial) -> Figures:
    """What "accept" of ours was worth, by the truth."""
    pairs = zip(answers, right(answers, trial), strict=True)
    hits = [hit for answer, hit in pairs if answer.decision == "accept"]
    precision = round(sum(hits) / len(hits), 4) if hits else None
    return {
        "n": len(hits),
        "coverage": round(len(hits) / len(answers), 4),
        "precision": precision,
        "precision_ci95": interval(sum(hits), len(hits)) if hits else None,
    }


def _save(found: dict[str, Figures], target: Path | None) -> None:
    if target:
        target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
