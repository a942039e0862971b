from __future__ import annotations

import pytest

from tests.support.feedback import HEADER, TIMED, Load, answers_in
from training_service.errors import InputError


def test_header_is_trimmed_case_folded_and_free_in_order(feedback_of: Load) -> None:
    """Columns are found by name whatever their case, spaces, order and byte-order mark."""
    text = " Correct ,user,MATCHED_KEY,note,Query_Key\nyes,ann,Nurse,fine,rn\n"
    feedback = feedback_of(b"\xef\xbb\xbf" + text.encode())
    assert answers_in(feedback) == [("rn", "Nurse", True)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_blank_lines_and_quotes(feedback_of: Load, end: str) -> None:
    """Any line end works, blank lines are passed over, quoted commas and quotes are data."""
    lines = [HEADER.strip(), "", '"cook, ""chief""",Baker,yes', "  ", 'bread "maker,Baker,no', ""]
    feedback = feedback_of(end.join(lines))
    assert answers_in(feedback) == [
        ('bread "maker', "Baker", False),
        ('cook, "chief"', "Baker", True),
    ]
    assert [row.line for row in feedback.rows] == [5, 3]


def test_row_over_several_lines_is_used_and_told(feedback_of: Load) -> None:
    """A quoted line break is legal, and since a lost quote looks the same it is told."""
    feedback = feedback_of(HEADER + '"pastry\ncook",Baker,yes\nrn,Nurse,yes\n')
    assert answers_in(feedback) == [("pastry cook", "Baker", True), ("rn", "Nurse", True)]
    assert feedback.counts == {"multi_line": 1}
    assert "(line 2)" in feedback.notes[0]


def test_nul_byte_is_refused_at_its_offset(feedback_of: Load) -> None:
    """A NUL byte is refused naming line and byte."""
    with pytest.raises(InputError, match=r"csv:2: byte 32: found NUL"):
        feedback_of(HEADER + "rn\0,Nurse,yes\n")


def test_huge_cell_is_refused_with_its_line(feedback_of: Load) -> None:
    """A cell over the limit of the parser is refused with the line where its row starts."""
    huge = "x" * 140_000 + ",Nurse,yes\n"
    with pytest.raises(InputError, match=r"csv:3: field larger than field limit"):
        feedback_of(HEADER + "rn,Nurse,yes\n" + huge + '"open,Nurse,yes\n')


def test_unclosed_quote_that_swallows_a_long_file_is_named(feedback_of: Load) -> None:
    """A quote left open before 140,000 characters of rows is blamed on the quote, not the size."""
    with pytest.raises(InputError, match=r"csv:3: found a quote that is opened here and never"):
        feedback_of(HEADER + 'rn,Nurse,yes\n"dev,Nurse,yes\n' + "cook,Baker,no\n" * 10_000)


def test_last_row_cut_at_every_byte(feedback_of: Load) -> None:
    """Wherever the last row is cut, the rows before it are used and the rest is told or whole."""
    before = TIMED + "dev,Software Engineer,yes,2026-07-20T08:55:21Z\n"
    last = '"cook, chief",Baker,no,2026-07-21T08:55:21Z'
    for cut in range(1, len(last)):
        feedback = feedback_of(before + last[:cut])
        assert ("dev", "Software Engineer", True) in answers_in(feedback)
        if cut < len('"cook, chief",Baker,no,'):
            assert feedback.counts == {"torn_last_line": 1}
            assert "(line 3)" in feedback.notes[0]
            assert len(feedback.rows) == 1
        else:
            assert ("cook, chief", "Baker", False) in answers_in(feedback)


def test_quote_open_before_the_last_line_is_no_torn_row(feedback_of: Load) -> None:
    """A quote that swallows whole rows is refused even where the last line has no end."""
    with pytest.raises(InputError, match=r"csv:3: found a quote that is opened here"):
        feedback_of(HEADER + 'rn,Nurse,yes\n"dev,Nurse,yes\ncook,Baker,no')


def test_torn_verdict_is_never_read(feedback_of: Load) -> None:
    """A verdict cut short on an unended last line is left out, not listed as an unknown word."""
    for verdict in ("", "y", "ye", "n", "tru"):
        assert feedback_of(f"{HEADER}rn,Nurse,yes\ndev,Nurse,{verdict}").counts == {
            "torn_last_line": 1
        }
    assert feedback_of(f"{HEADER}rn,Nurse,yes\ndev,Nurse,ye\n").counts == {"unknown_verdict": 1}
    assert feedback_of(f"{HEADER}rn,Nurse,yes\ndev,Nurse,yes").counts == {}
