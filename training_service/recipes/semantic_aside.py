"""What a tuned encoder is judged on: queries and canonical texts that tuning knows nothing of.

Queries are few and confirmed ones are the easier ones: canonical texts tell more often than they
whether one encoder parts concepts better than another. Both encoders are asked the same texts,
with nothing of them in their index or their head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from training_service.domain.records import LabelledQuery, normalise
from training_service.judge.calibration_rows import CalibrationRows, collect
from training_service.judge.ladder import is_beyond_chance
from training_service.judge.scorers import outcomes
from training_service.match.matcher import Matcher, build_matcher
from training_service.match.parameters import MatcherParameters
from training_service.prepare.splitter import fold_of, is_set_aside
from training_service.recipes.semantic_head import HeadGround
from training_service.recipes.semantic_learning import WITH_HEAD_WEIGHTS, headed
from training_service.recipes.semantic_material import Material, outside

FOLD = 0
"""The fold of the learning side whose queries are set aside."""
_MOST_TEXTS = 1000
_LARGEST_SHARE = 0.1
_FEWEST_OF_CONCEPT = 4
"""A concept with fewer texts keeps all of them."""


@dataclass(frozen=True)
class Compared:
    """Of ``texts`` set aside, how many a second matcher won and lost against a first."""

    texts: int
    won: int
    lost: int

    @property
    def is_won(self) -> bool:
        """Whether the second is better by more than chance."""
        return is_beyond_chance(self.won, self.lost)

    def __str__(self) -> str:
        return f"{self.won} won and {self.lost} lost of {self.texts} canonical texts set aside"


@dataclass(frozen=True)
class Aside:
    """What is set aside of ``material``, whatever its encoder is."""

    material: Material

    @cached_property
    def queries(self) -> tuple[LabelledQuery, ...]:
        """The queries of the learning side that tuning knows nothing of."""
        folds = self.material.inputs.options.calibration_folds
        learn = self.material.split.learn
        return tuple(query for query in learn if fold_of(query.group, folds) == FOLD)

    @cached_property
    def texts(self) -> tuple[LabelledQuery, ...]:
        """Canonical texts as queries for the concepts that they name: no labels, and no rare ones.

        At most a tenth of them and a thousand, by their content alone.
        """
        owners: dict[str, set[str]] = {}
        spelled: dict[str, str] = {}
        for row in self.material.vectors.rows:
            if row.kind == "synonym":
                group = normalise(row.text)
                owners.setdefault(group, set()).add(row.key)
                spelled.setdefault(group, row.text)
        entries = self.material.inputs.canonical.entries
        kept = {normalise(entry.label) for entry in entries}
        rare = {entry.id for entry in entries if len(entry.texts) < _FEWEST_OF_CONCEPT}
        free = [group for group in owners if group not in kept and not owners[group] & rare]
        share = min(_LARGEST_SHARE, _MOST_TEXTS / max(1, len(free)))
        return tuple(
            LabelledQuery(spelled[group], group, frozenset(owners[group]), frozenset(), None)
            for group in sorted(free)
            if is_set_aside(group, share)
        )

    def ground(self, material: Material) -> HeadGround:
        """What heads of ``material`` may learn from, answers of other folds included."""
        rows, matrix = material.vectors.rows, material.vectors.vectors.matrix
        groups = {text.group for text in self.texts}
        places = [i for i, row in enumerate(rows) if normalise(row.text) not in groups]
        return HeadGround([rows[i] for i in places], matrix[places])

    def rows(self, material: Material) -> CalibrationRows:
        """The queries, scored by what has seen none of them, in folds of their own."""
        folds = material.inputs.options.calibration_folds
        vectors = material.of(self.queries)
        rows = collect(headed(material, FOLD), self.queries, vectors, FOLD, material.heads.kin)
        parts = [fold_of(query.group, folds * folds) % folds for query in self.queries]
        return replace(rows, fold=np.array(parts, dtype=np.intp))

    def compared(self, frozen: Material, tuned: Material) -> Compared:
        """How matchers of both do on the texts."""
        first, second = self._right(frozen), self._right(tuned)
        pairs = list(zip(first, second, strict=True))
        won = sum(new and not old for old, new in pairs)
        return Compared(len(pairs), won, sum(old and not new for old, new in pairs))

    def _right(self, material: Material) -> list[bool]:
        """For each of the texts whether a matcher without them puts one of its concepts first."""
        found = outcomes(self._matcher(material), self.texts, material.of(self.texts))
        return [outcome.is_right for outcome in found]

    def _matcher(self, material: Material) -> Matcher:
        ground, knows = self.ground(material), outside(material.inputs, FOLD)
        places = ground.known(knows)
        rows, matrix = [ground.rows[i] for i in places.tolist()], ground.matrix[places]
        labels, encoder = material.inputs.canonical.labels, material.vectors.encoder
        parameters = MatcherParameters(weights=WITH_HEAD_WEIGHTS)
        matcher = build_matcher(rows, matrix, labels, encoder)
        return replace(matcher, head=ground.fit(knows), parameters=parameters)
