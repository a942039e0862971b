"""Worlds that are small enough for a thousand runs."""

from __future__ import annotations

from pathlib import Path

from tests.support.worlds import World, answers, make_world, vocabulary

CONCEPTS = 6
SYNONYMS = 4


def small(folder: Path) -> World:
    """6 concepts, 24 queries, 8 of them held out; promoted at once and after each change."""
    known = vocabulary(CONCEPTS, SYNONYMS)
    return make_world(folder, known, answers(known), TRAIN_MIN_HOLDOUT_QUERIES="3")


def changed(world: World, turn: int = 1) -> None:
    """Take the last ``turn`` answers away: a full-train builds anew, and promotes again."""
    known = vocabulary(CONCEPTS, SYNONYMS)
    world.write_feedback(answers(known)[:-turn])
