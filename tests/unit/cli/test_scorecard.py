"""What a person reads after a run, as it stands on an 80-column terminal."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.scorecards import against, alone, scorecard, scores
from training_service.cli.scorecard import report_blocks
from training_service.cli.streams import write_blocks
from training_service.domain.judgement import Held, Interval, Scorecard, Scores, Verdict
from training_service.domain.run import RunReport, Unchanged
from training_service.judge.evaluation_gate import GatePolicy, judge
from training_service.judge.metrics import metrics

POLICY = GatePolicy(min_accuracy=0.8, min_queries=50, max_regression=0.02)
JUDGED = scorecard(
    against("held-out", 85, 100, won=1, lost=6),
    against("recent", 40, 50, won=0, lost=1),
    replay=scores(398, 400),
    notes=("weights and thresholds are calibrated on 310 confirmed queries, cross-fitted",),
)
HELD = """\
held-regression: v20261120
  held-out: top-1 0.900 -> 0.850 on 100 queries, 1 won and 6 lost: more than \
the 0.02 that is let pass

                 held-out     champion     recent       champion     replay
queries          100          100          50           50           400
top-1            0.850        0.900        0.800        0.820        0.995
  95 % interval  0.767-0.907  0.826-0.945  0.670-0.888  0.692-0.902  0.982-0.999
MRR              0.925        0.950        0.900        0.910        0.998
recall@5         0.950        1.000        0.900        0.920        1.000
accepted         0.500        0.500        0.500        0.500        0.500
  precision      0.960        0.960        0.960        0.960        0.960
held-out decides: queries neither side learned from; replay includes seen ones
recent: the held-out queries of 2026-10-21 to 2026-11-20
champion: v20261119, its shipped index without the held-out answers, which its weights never saw
flips: 1 won, 6 lost, exact McNemar p = 0.125
note: weights and thresholds are calibrated on 310 confirmed queries, cross-fitted
note: 3 rows name a concept that is not there

store     /srv/store
version   v20261120
latest    v20261119
took      12.5 s: encode 9.0, judge 3.5
try       train match "some text"
"""
PROMOTED = """\
promoted-first: v20261120
  top-1 0.900 (0.826-0.945) on 100 unseen queries is at least MIN_ACCURACY 0.8
  nothing served before

                 held-out     replay
queries          100          400
top-1            0.900        1.000
  95 % interval  0.826-0.945  0.990-1.000
MRR              0.950        1.000
recall@5         1.000        1.000
accepted         0.000        0.500
  precision      -            0.960
held-out decides: queries neither side learned from; replay includes seen ones
reload: confirmed - it serves v20261120

store     /srv/store
version   v20261120
latest    v20261120
try       train match "some text"
"""


def report(verdict: Verdict | Unchanged, card: Scorecard | None) -> RunReport:
    """A report on a judged version."""
    return RunReport(
        mode="full-train",
        run_id="20261120T120000Z-abcdef",
        version="v20261120",
        verdict=verdict,
        metrics=metrics(card),
        latest="v20261119",
        store=Path("/srv/store"),
    )


def printed(made: RunReport, capsys: pytest.CaptureFixture[str]) -> str:
    """What stdout shows of a report, without blanks at the ends of lines."""
    write_blocks(tuple(report_blocks(made)))
    return "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines())


def test_a_held_report_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict, reasons, five columns of figures, flips, notes and places stand as written here."""
    made = replace(
        report(judge(JUDGED, POLICY), JUDGED),
        notes=("3 rows name a concept that is not there",),
        durations_s={"encode": 9.0, "judge": 3.5, "total": 12.54},
    )
    assert printed(made, capsys) == HELD


def test_a_promoted_report_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """A first run has two columns, no champion, and says what the service answered."""
    part = alone("held-out", 90, 100)
    part = replace(
        part, challenger=replace(part.challenger, accept_coverage=0.0, accept_precision=None)
    )
    card = scorecard(part, replay=scores(400, 400))
    made = replace(
        report(judge(card, POLICY), card),
        latest="v20261120",
        reload={"outcome": "confirmed", "detail": "it serves v20261120"},
    )
    assert printed(made, capsys) == PROMOTED


def test_the_table_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Even with all five columns no line of the table is folded or cut."""
    lines = printed(report(judge(JUDGED, POLICY), JUDGED), capsys).splitlines()
    table = lines[lines.index("") + 1 :][:8]
    assert max(map(len, table)) <= 80
    assert all(len(line.split()) >= 6 for line in table[1:])


@pytest.mark.parametrize(
    ("is_serving", "told"),
    [
        (True, "unchanged: v20261120 serves the same inputs and settings (promoted-passed)"),
        (
            False,
            "unchanged: v20261120 was made from the same inputs and settings (promoted-passed)",
        ),
    ],
)
def test_an_unchanged_report_says_so_first(
    is_serving: bool, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first line says that nothing was built, and the old reasons follow."""
    verdict = Unchanged("promoted-passed", is_serving=is_serving, reasons=("good enough",))
    first, second, *_ = printed(report(verdict, JUDGED), capsys).splitlines()
    assert first == f"{told}; nothing was built"
    assert second == "  good enough"


def test_a_build_that_is_not_judged_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Without figures there is no scorecard, and without a latest nothing to try."""
    made = replace(report(Held("not-judged", ("it builds",)), None), latest=None)
    assert printed(made, capsys) == (
        "held-not-judged: v20261120\n"
        "  it builds\n"
        "\n"
        "store     /srv/store\n"
        "version   v20261120\n"
        "latest    none: nothing was promoted yet\n"
    )


def test_figures_that_are_no_numbers_are_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    """A report held for NaN is still printed: a dash stands for what is no number."""
    nan = math.nan
    bad = Scores(60, nan, Interval(nan, nan), nan, nan, nan, None)
    part = against("held-out", 50, 60, won=1, lost=0)
    assert part.champion is not None
    flips = replace(part.champion.flips, p_value=nan)
    card = scorecard(replace(part, challenger=bad, champion=replace(part.champion, flips=flips)))
    out = printed(report(judge(card, POLICY), card), capsys)
    assert out.startswith("held-not-finite: v20261120\n")
    (interval,) = (line for line in out.splitlines() if "interval" in line)
    assert interval.split() == ["95", "%", "interval", "-", "0.701-0.894"]
    assert "flips: 1 won, 0 lost, exact McNemar p = -\n" in out
