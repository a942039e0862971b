"""A challenger and the version in service become a scorecard, on queries that neither knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import repeat

from training_service.domain.evidence import Answered, Evidence, Rung, Slip
from training_service.domain.judgement import (
    ChampionBasis,
    Rejection,
    Scorecard,
    SliceComparison,
)
from training_service.domain.records import IndexRow, LabelledQuery, normalise
from training_service.domain.run import Served
from training_service.errors import ArtifactError, shown
from training_service.judge.evidence import answered, evidence
from training_service.judge.scorers import Outcome, compare, outcomes, summarise
from training_service.match.files import MatcherFiles
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import MOST_UNREAD, Matcher
from training_service.match.memory import ReviewedAnswers
from training_service.ports import Encoder
from training_service.prepare.splitter import is_held_out, recent_window
from training_service.recipes.semantic_inputs import Inputs
from training_service.recipes.semantic_learning import Learned, held_slips
from training_service.recipes.semantic_material import Material
from training_service.release.version_snapshot import snapshot_feedback


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
    return frozenset(row.group for row in snapshot_feedback(served.path))


@dataclass(frozen=True)
class Judged:
    """A scorecard, what each unseen query was answered by both sides, and doubtful answers."""

    scorecard: Scorecard
    answers: tuple[Answered, ...]
    slips: tuple[Slip, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What the learning side gave, how the challenger was judged, and its head, if it has one."""

    learned: Learned
    card: Judged
    head: LinearHead | None

    def scorecard(self) -> Scorecard:
        """The scorecard, with notes on what was learned and what was rejected."""
        card = self.card.scorecard
        told = (*_told_kept(self.learned), *_told(self.learned.rungs, card.rejection))
        return replace(card, notes=(*card.notes, *told))

    def evidence(self, scorecard: Scorecard, inputs: Inputs) -> Evidence:
        """All of it, with the final ``scorecard``."""
        # What was learned before may come with slips of the held-out side, found anew here.
        known = {(slip.query, slip.key): slip for slip in (*self.learned.slips, *self.card.slips)}
        slips = sorted(known.values(), key=lambda slip: (-slip.doubt, slip.query, slip.key))
        learned = (self.learned.rungs, tuple(slips))
        labels = inputs.canonical.labels
        found = evidence(self.card.answers, learned, self.learned.parameters, scorecard, labels)
        return replace(found, kept=self.learned.kept)


def judge(material: Material, challenger: Matcher, place: Bench, now: datetime) -> Judged:
    """Challenger and champion on the same unseen queries, all of them and the recent ones.

    Queries that reviewers said match nothing are asked too, and count for the rejection alone.
    """
    foreign = [query for query in material.split.holdout if query.is_foreign]
    new = outcomes(challenger, place.queries, material.of(place.queries))
    of_foreign = outcomes(challenger, foreign, material.of(foreign))
    old = None if place.champion is None else _answered(material, place.champion, place.queries)
    everything = (*material.split.learn, *material.split.holdout)
    window = recent_window(everything, material.inputs.options.recent_days, now)
    recent = [window is not None and query.timestamp in window for query in place.queries]
    card = Scorecard(
        holdout=compare("held-out", new, old) if new else None,
        recent=_recent(recent, new, old),
        replay=None,
        recent_window=str(window) if window else "no row has a timestamp",
        champion_version=place.version,
        champion_basis=place.basis,
        notes=_notes(material, challenger, place.queries),
        rejection=_rejection(new, of_foreign),
    )
    sides = zip(place.queries, new, old or repeat(None, len(new)), recent, strict=True)
    answers = [
        answered(query, ours, theirs, is_recent=late) for query, ours, theirs, late in sides
    ]
    strangers = zip(foreign, of_foreign, strict=True)
    answers += [answered(query, found, None, is_recent=False) for query, found in strangers]
    return Judged(card, tuple(answers), held_slips(material, challenger))


def _answered(
    material: Material, champion: Matcher, queries: Sequence[LabelledQuery]
) -> tuple[Outcome, ...]:
    asked = _by_its_ids(champion, queries, material.inputs.feedback.renamed)
    if champion.encoder.identity == material.vectors.encoder.identity:
        return outcomes(champion, asked, material.of(queries))
    return outcomes(champion, asked, champion.encoder.encode([q.text for q in queries]))


def _by_its_ids(
    champion: Matcher, queries: Sequence[LabelledQuery], renamed: Mapping[str, str]
) -> Sequence[LabelledQuery]:
    """``queries`` whose gold concepts go by the ids too that the champion knows them by."""
    if not renamed:
        return queries
    former: dict[str, set[str]] = {}
    for key in champion.concepts:
        if normalise(key) in renamed:
            former.setdefault(renamed[normalise(key)], set()).add(key)
    return [
        replace(query, gold=query.gold.union(*(former.get(key, ()) for key in query.gold)))
        for query in queries
    ]


def _rejection(known: Sequence[Outcome], foreign: Sequence[Outcome]) -> Rejection:
    rejected = [sum(each.decision == "reject" for each in part) for part in (foreign, known)]
    return Rejection(len(foreign), rejected[0], len(known), rejected[1])


def _recent(
    is_recent: Sequence[bool], new: Sequence[Outcome], old: Sequence[Outcome] | None
) -> SliceComparison | None:
    chosen = [i for i, found in enumerate(is_recent) if found]
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
        if parameters.confidence is not None and parameters.confidence.accept is None:
            target = f"precision {parameters.target_precision:g} on unseen feedback"
            notes.append(f"nothing reached {target}: nothing is accepted without review")
    known = {normalise(t) for entry in material.inputs.canonical.entries for t in entry.texts}
    verbatim = sum(query.group in known for query in judged)
    if verbatim:
        unseen = f"{verbatim} of {len(judged)} unseen queries"
        notes.append(f"{unseen} stand word for word in the canonical data")
    return (*notes, *_unread(material, known))


def _unread(material: Material, texts: Iterable[str]) -> tuple[str, ...]:
    """A note on canonical texts that say little to the model, where there are any."""
    foreign = [text for text in texts if not text.isascii()]  # others are not worth the time
    shares = material.vectors.encoder.unread(foreign)
    count = sum(share >= MOST_UNREAD for share in shares)
    if not count:
        return ()
    what = f"{count} canonical texts hold too many words that are unknown to the model"
    return (f"{what}; queries like them are never accepted unseen",)


def _told_kept(learned: Learned) -> tuple[str, ...]:
    kept = learned.kept
    if kept is None:
        return ()
    changed = f"{kept.rows} rows and {kept.answers} answers changed since"
    return (f"learned in {kept.version}, {changed}; `--rebuild` learns anew",)


def _told(rungs: Sequence[Rung], rejection: Rejection | None) -> tuple[str, ...]:
    told = []
    shipped = [rung.name for rung in rungs if rung.state == "shipped"]
    if shipped:
        gave = (f"{rung.name} {rung.top1:.3f}" for rung in rungs if rung.top1 is not None)
        told.append(f"learner: {shipped[0]}; cross-fitted top-1: {', '.join(gave)}")
    if rejection is not None and rejection.foreign:
        foreign = f"{rejection.foreign_rejected} of {rejection.foreign} that match nothing"
        told.append(f"rejected: {foreign}, {rejection.known_rejected} of {rejection.known} others")
    return tuple(told)


def with_replay(scorecard: Scorecard, found: Sequence[Outcome]) -> Scorecard:
    """``scorecard`` with the replay scores beside the ones that decide."""
    return replace(scorecard, replay=summarise(found) if found else None)
