"""A challenger and the version in service become a scorecard, on queries that neither knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from training_service.domain.judgement import ChampionBasis, Scorecard, SliceComparison
from training_service.domain.records import IndexRow, LabelledQuery, normalise
from training_service.domain.run import Served
from training_service.domain.snapshot import FEEDBACK_FILE, SNAPSHOT_FOLDER, feedback_from_lines
from training_service.errors import ArtifactError, shown
from training_service.judge.scorers import Outcome, compare, outcomes, summarise
from training_service.match.files import MatcherFiles
from training_service.match.matcher import Matcher
from training_service.match.memory import ReviewedAnswers
from training_service.ports import Encoder
from training_service.prepare.splitter import RecentWindow, is_held_out, recent_window
from training_service.recipes.semantic_learning import Material


@dataclass(frozen=True)
class Bench:
    """What a judgement takes place on: the unseen queries, and whom the challenger meets."""

    queries: tuple[LabelledQuery, ...]
    champion: Matcher | None = None
    version: str | None = None
    basis: ChampionBasis = "no champion"


def bench(
    material: Material,
    served: Served | None,
    files: MatcherFiles,
    encoder: Encoder | None = None,
) -> Bench:
    """The held-out queries that neither side learned from, and the champion without them.

    A query keeps its side from run to run, so the champion's weights and thresholds never saw
    today's held-out queries; its index did, so those rows are left out. Where the feedback is
    baked into the index texts (form ``merged``) they cannot be, and the queries that the
    champion's snapshot does not have are judged on instead. ``encoder`` is given where it is the
    champion's as well.
    """
    judged = [query for query in material.split.holdout if query.gold]
    if served is None:
        return Bench(tuple(judged))
    share = min(_share_of(served), material.inputs.options.holdout_share)
    judged = [query for query in judged if is_held_out(query.group, share)]
    champion = replace(
        files.read(served.path, lambda row: not _is_held_answer(row, share), encoder),
        memory=ReviewedAnswers(),
    )
    if served.settings.get("index_form") != "merged":
        basis: ChampionBasis = (
            "its shipped index without the held-out answers, which its weights never saw"
        )
        return Bench(tuple(judged), champion, served.version, basis)
    seen = _snapshot_groups(served)
    newer = tuple(query for query in judged if query.group not in seen)
    basis = "queries newer than its feedback snapshot"
    return Bench(newer, champion, served.version, basis)


def _share_of(served: Served) -> float:
    """The share that the champion held out of its feedback; all of it when it does not say."""
    share = served.settings.get("holdout_share", 1.0)
    if isinstance(share, int | float) and 0 < share <= 1:
        return float(share)
    what = f"{served.version}: holdout_share is {shown(share)}, expected a number up to 1"
    raise ArtifactError(what, hint="go back with `train versions rollback`")


def _is_held_answer(row: IndexRow, share: float) -> bool:
    return row.kind == "feedback" and is_held_out(normalise(row.text), share)


def _snapshot_groups(served: Served) -> frozenset[str]:
    path = served.path / SNAPSHOT_FOLDER / FEEDBACK_FILE
    return frozenset(row.group for row in feedback_from_lines(path.read_bytes(), str(path)))


def judge(material: Material, challenger: Matcher, place: Bench, now: datetime) -> Scorecard:
    """Challenger and champion on the same unseen queries, all of them and the recent ones."""
    vectors = material.of(place.queries)
    new = outcomes(challenger, place.queries, vectors)
    old = None
    if place.champion is not None:
        if place.champion.encoder.identity != challenger.encoder.identity:
            vectors = place.champion.encoder.encode([query.text for query in place.queries])
        old = outcomes(place.champion, place.queries, vectors)
    everything = (*material.split.learn, *material.split.holdout)
    window = recent_window(everything, material.inputs.options.recent_days, now)
    return Scorecard(
        holdout=compare("held-out", new, old) if new else None,
        recent=_recent(place.queries, new, old, window),
        replay=None,
        recent_window=str(window) if window else "no row has a timestamp",
        champion_version=place.version,
        champion_basis=place.basis,
        notes=_notes(material, challenger, place.queries),
    )


def _recent(
    queries: Sequence[LabelledQuery],
    new: Sequence[Outcome],
    old: Sequence[Outcome] | None,
    window: RecentWindow | None,
) -> SliceComparison | None:
    chosen = [i for i, q in enumerate(queries) if window is not None and q.timestamp in window]
    if not chosen:
        return None
    champion = None if old is None else [old[i] for i in chosen]
    return compare("recent", [new[i] for i in chosen], champion)


def _notes(
    material: Material, challenger: Matcher, judged: Sequence[LabelledQuery]
) -> tuple[str, ...]:
    parameters = challenger.parameters
    needed = material.inputs.options.min_calibration_queries
    seen = f"{parameters.queries} confirmed queries"
    if parameters.source == "defaults":
        notes = [f"weights and thresholds are the defaults: {seen} to calibrate on, not {needed}"]
    else:
        notes = [f"weights and thresholds are calibrated on {seen}, cross-fitted"]
        if parameters.thresholds.accept_score is None:
            target = f"precision {parameters.target_precision:g} on unseen feedback"
            notes.append(f"no score reached {target}: nothing is accepted without review")
    known = {normalise(t) for entry in material.inputs.canonical.entries for t in entry.texts}
    verbatim = sum(query.group in known for query in judged)
    if verbatim:
        unseen = f"{verbatim} of {len(judged)} unseen queries"
        notes.append(f"{unseen} stand word for word in the canonical data")
    return tuple(notes)


def with_replay(scorecard: Scorecard, found: Sequence[Outcome]) -> Scorecard:
    """``scorecard`` with the replay scores beside the ones that decide."""
    return replace(scorecard, replay=summarise(found) if found else None)
