from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.support.feedback import CODES, HEADER, ONET, TIMED, Load, answers_in
from training_service.errors import InputError, ResourceLimitError
from training_service.ingest.canonical_loader import load_canonical
from training_service.ingest.feedback_processor import load_feedback


def test_rows_come_by_query_and_concept_with_their_lines(feedback_of: Load) -> None:
    """Rows are ordered by normalised query, then concept, and remember their line."""
    feedback = feedback_of(HEADER + "swe,Software Engineer,yes\nRN,Nurse,yes\nrn,Baker,no\n")
    assert answers_in(feedback) == [
        ("rn", "Baker", False),
        ("RN", "Nurse", True),
        ("swe", "Software Engineer", True),
    ]
    assert [row.line for row in feedback.rows] == [4, 3, 2]
    assert (feedback.counts, feedback.notes) == ({}, ())
    assert (len(feedback.confirmed), len(feedback.rejected)) == (2, 1)


@pytest.mark.parametrize(
    ("word", "correct"),
    [
        ("yes", True),
        (" YES ", True),
        ("True", True),
        ("1", True),
        ("no", False),
        ("FALSE\t", False),
        (" 0", False),
        *[(word, None) for word in ("maybe", "ye", "y", "", "10", "1.0", "ja", "ｙes!")],
    ],
)
def test_verdict_words(feedback_of: Load, word: str, correct: bool | None) -> None:
    """Three words each mean yes and no, in any case and trimmed; nothing else is guessed at."""
    feedback = feedback_of(f"{HEADER}dev,Nurse,{word}\n")
    if correct is None:
        assert feedback.rows == ()
        assert feedback.counts == {"unknown_verdict": 1}
    else:
        assert answers_in(feedback) == [("dev", "Nurse", correct)]


def test_rows_that_cannot_be_used_are_counted_and_placed(feedback_of: Load) -> None:
    """Each kind of unusable row is counted, and its note names the first three places."""
    rows = [
        "dev,Software Engineer,yes",
        "a,Nurse,maybe",
        "b,Nurse,",
        "c,Nurse,ye",
        "d,Nurse,perhaps",
        " ,Nurse,yes",
        "dev,\u200b,yes",
        "dev,Astronaut,no",
    ]
    feedback = feedback_of(HEADER + "\n".join(rows) + "\n")
    assert len(feedback.rows) == 1
    assert feedback.counts == {
        "blank_query": 1,
        "blank_key": 1,
        "unknown_verdict": 4,
        "unknown_key": 1,
    }
    verdicts = "rows with a verdict other than yes/no, true/false or 1/0, not used"
    keys = "rows whose matched_key is no id of the canonical data, not used"
    assert feedback.notes == (
        "rows without a query, not used: 1 (line 7)",
        "rows without a matched_key, not used: 1 (line 8)",
        f'{verdicts}: 4 (line 3 "maybe", line 4, line 5 "ye", …)',
        f'{keys}: 1 (line 9 "Astronaut")',
    )


def test_key_of_text_kind_is_found_as_compared(feedback_of: Load) -> None:
    """Where ids are text a matched_key may differ in case and spaces."""
    feedback = feedback_of(HEADER + "dev, software  ENGINEER ,yes\n")
    assert answers_in(feedback) == [("dev", "Software Engineer", True)]


def test_key_of_code_kind_is_exact_but_for_spaces(feedback_of: Load) -> None:
    """A code is never matched by its label or by case, only trimmed."""
    feedback = feedback_of(HEADER + "boss, 11-1 ,yes\nboss,Baker,yes\n", CODES)
    assert answers_in(feedback) == [("boss", "11-1", True)]
    assert feedback.counts == {"unknown_key": 1}


def test_query_that_is_an_id_stands_for_the_label(feedback_of: Load) -> None:
    """An id as query is read as the label of its entry, and counted."""
    feedback = feedback_of(HEADER + "51-3,11-1,no\nbaker,11-1,no\n", CODES)
    assert answers_in(feedback) == [("Baker", "11-1", False)]
    assert feedback.counts == {"duplicate": 1, "query_is_id": 1}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-07-20T08:55:21Z", datetime(2026, 7, 20, 8, 55, 21, tzinfo=UTC)),
        (" 2026-07-20 08:55:21 ", datetime(2026, 7, 20, 8, 55, 21, tzinfo=UTC)),
        ("2026-07-20", datetime(2026, 7, 20, tzinfo=UTC)),
        (
            "2026-07-20T08:55:21+02:00",
            datetime(2026, 7, 20, 8, 55, 21, tzinfo=timezone(timedelta(hours=2))),
        ),
    ],
)
def test_timestamp_is_read_as_utc(feedback_of: Load, written: str, read: datetime) -> None:
    """ISO-8601 with or without zone becomes UTC."""
    stamp = feedback_of(f"{TIMED}rn,Nurse,yes,{written}\n").rows[0].timestamp
    assert stamp == read
    assert stamp is not None
    assert stamp.tzinfo is UTC


@pytest.mark.parametrize(
    "written", ["yesterday", "20.07.2026", "1784537721", "0001-01-01T00:00+05:00", "2026-02-30"]
)
def test_bad_timestamp_costs_only_the_timestamp(feedback_of: Load, written: str) -> None:
    """A timestamp that cannot be read is counted and the answer kept; an empty one is no fault."""
    feedback = feedback_of(f"{TIMED}rn,Nurse,yes,{written}\ndev,Nurse,no,\n")
    assert [row.timestamp for row in feedback.rows] == [None, None]
    assert feedback.counts == {"bad_timestamp": 1}


def test_latest_answer_overrules(feedback_of: Load) -> None:
    """Of contradicting answers the latest stays, wherever it stands, and the rest is counted."""
    feedback = feedback_of(
        TIMED
        + "rn,Nurse,no,2026-07-20T09:00:00Z\n"
        + "RN,Nurse,yes,2026-07-20T10:00:00Z\n"
        + "rn,Nurse,yes,2026-07-20T11:30:00+02:00\n"
        + "rn,Nurse,no,\n"
    )
    assert answers_in(feedback) == [("RN", "Nurse", True)]
    assert feedback.counts == {"superseded": 2, "duplicate": 1}


def test_tie_goes_to_the_rejection(feedback_of: Load) -> None:
    """Contradicting answers of one moment, or of none, count as a rejection."""
    feedback = feedback_of(HEADER + "rn,Nurse,no\nrn,Nurse,yes\nrn,Nurse,yes\n")
    assert answers_in(feedback) == [("rn", "Nurse", False)]
    assert feedback.counts == {"superseded": 2}


def test_repeated_votes_count_once(feedback_of: Load) -> None:
    """Ten thousand copies of an answer weigh no more than one."""
    feedback = feedback_of(HEADER + "rn,Nurse,yes\n" * 10_000)
    assert len(feedback.rows) == 1
    assert feedback.counts == {"duplicate": 9_999}


def test_missing_file_is_empty_feedback_that_says_so(tmp_path: Path) -> None:
    """Without a file there is no feedback, one note and one count."""
    feedback = load_feedback(tmp_path / "none.csv", CODES)
    assert (feedback.rows, feedback.counts) == ((), {"missing_file": 1})
    assert feedback.notes == ("no feedback file, so nothing is learned from feedback",)


def test_dangling_link_is_not_a_missing_file(tmp_path: Path) -> None:
    """A link to nowhere is a mistake to be told, not an absence to be passed over."""
    path = tmp_path / "feedback.csv"
    path.symlink_to("nowhere.csv")
    with pytest.raises(InputError, match="No such file"):
        load_feedback(path, CODES)


@pytest.mark.parametrize("content", ["", "\n\n", HEADER, HEADER.strip()])
def test_file_without_rows_is_empty_feedback(feedback_of: Load, content: str) -> None:
    """An empty file and a header alone are feedback without rows."""
    feedback = feedback_of(content)
    assert (feedback.rows, feedback.counts) == ((), {"no_rows": 1})
    assert feedback.sha256


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """A file over 1 GiB is refused by its size."""
    path = tmp_path / "feedback.csv"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(ResourceLimitError):
        load_feedback(path, CODES)


@pytest.mark.parametrize(
    ("known", "unknown", "refused"),
    [(10, 10, False), (9, 10, False), (9, 11, True), (0, 20, True)],
)
def test_wrong_vocabulary_is_refused_once_there_are_enough_rows(
    feedback_of: Load, known: int, unknown: int, refused: bool
) -> None:
    """From 20 rows on, more than half of unknown keys is a mistake; before, they are counted."""
    rows = [f"q{place},Nurse,yes\n" for place in range(known)]
    rows += [f"u{place},Astronaut,yes\n" for place in range(unknown)]
    content = HEADER + "".join(rows) + ",Nurse,yes\n" * 30
    if refused:
        with pytest.raises(InputError, match="does the feedback belong") as caught:
            feedback_of(content)
        assert len(caught.value.faults) == unknown
    else:
        assert feedback_of(content).counts["unknown_key"] == unknown


@pytest.mark.skipif(not ONET.exists(), reason="the O*NET data is not here")
def test_onet_feedback_loads_whole() -> None:
    """All 5,620 answers load with their times."""
    canonical = load_canonical(ONET / "canonical.json")
    feedback = load_feedback(ONET / "feedback.csv", canonical)
    assert (len(feedback.rows), feedback.counts) == (5620, {})
    assert all(row.timestamp for row in feedback.rows)


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """One byte more than allowed is a resource limit, exit code 16."""
    path = tmp_path / "feedback.csv"
    path.write_bytes(b"query_key,matched_key,correct\n")
    with pytest.raises(ResourceLimitError) as caught:
        load_feedback(path, CODES, max_bytes=path.stat().st_size - 1)
    assert caught.value.exit_code == 16
