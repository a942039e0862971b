"""Inputs and their vectors become matchers that know all of the feedback, or a part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from training_service.domain.records import FeedbackRow, IndexRow, LabelledQuery, normalise
from training_service.domain.vectors import Matrix
from training_service.judge.scorers import Outcome, outcomes
from training_service.match.layers import AddedRows, Ground
from training_service.match.lexical import SummedProfiles
from training_service.match.matcher import Matcher, build_matcher, gathered
from training_service.match.ngrams import Tokens
from training_service.match.parameters import MatcherParameters
from training_service.match.pool import ConceptPool
from training_service.prepare.enricher import index_rows
from training_service.prepare.splitter import Split, fold_of, is_held_out
from training_service.prepare.text_vectors import TextVectors
from training_service.recipes.semantic_head import HeadGround
from training_service.recipes.semantic_inputs import Inputs


@dataclass(frozen=True)
class Material:
    """The inputs as a matcher sees them: queries with their sides, and a vector for each text."""

    inputs: Inputs
    split: Split
    vectors: TextVectors

    def shipped(self, parameters: MatcherParameters) -> Matcher:
        """The matcher that knows every confirmed row that ``parameters`` let count."""
        rows, matrix = self.vectors.rows, self.vectors.vectors.matrix
        parts = (
            gathered(rows, matrix, tokens=self._tokens) if parameters.answers else self._canonical
        )
        return Matcher(*parts, self.inputs.canonical.labels, self.vectors.encoder, parameters)

    def deciding(self, parameters: MatcherParameters, knows: Callable[[str], bool]) -> Matcher:
        """The matcher with ``parameters`` of the query groups that it ``knows``, if they count."""
        return replace(
            self.knowing(knows if parameters.answers else _nothing), parameters=parameters
        )

    def knowing(self, knows: Callable[[str], bool]) -> Matcher:
        """The same, but of the confirmed rows of the query groups that it ``knows`` alone.

        Where answers are rows of their own they are laid on the canonical ones, which score
        every query of the run once.
        """
        if self.inputs.options.index_form == "merged":
            confirmed = (row for row in self.inputs.feedback.confirmed if knows(row.group))
            rows = rows_with(self.inputs, confirmed)
            matrix = self.vectors.of([row.text for row in rows])
            return build_matcher(rows, matrix, self.inputs.canonical.labels, self.vectors.encoder)
        chosen = [i for i, group in self._answers.items() if knows(group)]
        rows = tuple(self.vectors.rows[i] for i in chosen)
        added = self.vectors.vectors.matrix[np.array(chosen, dtype=np.intp)]
        return self._ground.under(AddedRows.of(self._canonical, rows, added))

    @cached_property
    def _answers(self) -> dict[int, str]:
        """The places of the rows that are confirmed answers, and their query groups."""
        rows = enumerate(self.vectors.rows)
        return {i: normalise(row.text) for i, row in rows if row.kind == "feedback"}

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens.of(row.text for row in self.vectors.rows)

    @cached_property
    def heads(self) -> HeadGround:
        """What heads are fitted on."""
        return HeadGround(self.vectors.rows, self.vectors.vectors.matrix)

    @cached_property
    def _canonical(self) -> tuple[ConceptPool, SummedProfiles]:
        rows = self.vectors.rows
        places = np.flatnonzero([row.kind == "synonym" for row in rows])
        matrix, tokens = self.vectors.vectors.matrix, self._tokens.part(places)
        return gathered([rows[i] for i in places], matrix, places, tokens)

    @cached_property
    def _ground(self) -> Ground:
        labels, encoder = self.inputs.canonical.labels, self.vectors.encoder
        queries = [query.text for query in (*self.split.learn, *self.split.holdout)]
        return Ground(Matcher(*self._canonical, labels, encoder), queries)

    def of(self, queries: Sequence[LabelledQuery]) -> Matrix:
        """The vectors (q, d) of ``queries``."""
        return self.vectors.of([query.text for query in queries])


def rows_with(inputs: Inputs, confirmed: Iterable[FeedbackRow]) -> tuple[IndexRow, ...]:
    """The index rows of the canonical data and the ``confirmed`` rows."""
    return index_rows(inputs.canonical, confirmed, form=inputs.options.index_form)


def texts_of_run(
    inputs: Inputs, queries: Iterable[LabelledQuery]
) -> tuple[tuple[IndexRow, ...], frozenset[str]]:
    """The rows of the index, and every other text that the run embeds.

    The rows of a part of the answers are among those of all, but where answers are merged into
    the concept's text.
    """
    others = {query.text for query in queries}
    if inputs.mode == "full-train" and inputs.options.index_form == "merged":
        folds, confirmed = inputs.options.calibration_folds, inputs.feedback.confirmed
        parted = (outside(inputs, fold) for fold in range(folds))
        for knows in (_nothing, is_learned(inputs), *parted):
            rows = rows_with(inputs, (row for row in confirmed if knows(row.group)))
            others.update(row.text for row in rows)
    return rows_with(inputs, inputs.feedback.confirmed), frozenset(others)


def _nothing(_group: str) -> bool:
    return False


def is_learned(inputs: Inputs) -> Callable[[str], bool]:
    """Whether a query group may be learned from before the judgement."""
    share = inputs.options.holdout_share
    return lambda group: not is_held_out(group, share)


def outside(inputs: Inputs, fold: int) -> Callable[[str], bool]:
    """Whether a query group may be learned from by what is asked the queries of ``fold``."""
    learned, folds = is_learned(inputs), inputs.options.calibration_folds
    return lambda group: learned(group) and fold_of(group, folds) != fold


def replay(material: Material, shipped: Matcher) -> tuple[Outcome, ...]:
    """The shipped matcher on every confirmed query, the ones it knows by heart included."""
    sides = (*material.split.learn, *material.split.holdout)
    queries = [query for query in sides if query.gold]
    matcher = replace(
        material.deciding(shipped.parameters, lambda _group: True),
        memory=shipped.memory,
        head=shipped.head,
    )
    return outcomes(matcher, queries, material.of(queries))
