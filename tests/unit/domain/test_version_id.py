"""Version names: spelled, read back, ordered."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training_service.domain.release import VersionId

VERSIONS = st.builds(
    VersionId, st.dates(date(1970, 1, 1), date(9999, 12, 31)), st.integers(1, 10_000)
)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(VERSIONS)
def test_a_version_reads_back_as_it_is_spelled(version: VersionId) -> None:
    """The name of a version parses to that version."""
    assert VersionId.parse(str(version)) == version


def test_a_year_has_four_digits_that_mean_it() -> None:
    """A year below 1000, which would be spelled otherwise, is no version name."""
    assert VersionId.parse("v00261120") is None


def test_a_number_that_no_day_reaches_is_none() -> None:
    """Thousands of digits are no version name, and no error of the language."""
    assert VersionId.parse("v20261120." + "9" * 5_000) is None


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.from_regex(r"v\d{8}(\.\d{1,3})?", fullmatch=True) | st.text(max_size=16))
def test_every_version_has_one_spelling(name: str) -> None:
    """Whatever parses is spelled the same way again, so no two names mean one version."""
    version = VersionId.parse(name)

    assert version is None or str(version) == name


@settings(derandomize=True, max_examples=100, deadline=None)
@given(VERSIONS, VERSIONS)
def test_versions_order_by_day_and_then_by_number(a: VersionId, b: VersionId) -> None:
    """The tenth run of a day comes after the ninth, and any run of a later day after both."""
    assert (a < b) == ((a.day, a.number) < (b.day, b.number))
    assert a < a.next()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "latest",
        "v2026112",
        "v20261320",
        "v20260230",
        "v20261120.1",
        "v20261120.0",
        "v20261120.02",
        "v20261120.",
        "V20261120",
        "v20261120\n",
        "v２０２６1120",
        "v20261120/..",
    ],
)
def test_anything_else_is_no_version(name: str) -> None:
    """Other spellings, impossible days and foreign digits are not versions."""
    assert VersionId.parse(name) is None


def test_the_day_is_that_of_utc() -> None:
    """A run at half past midnight in Berlin belongs to the UTC day before."""
    berlin = timezone(timedelta(hours=1))

    assert str(VersionId.first_of(datetime(2026, 11, 21, 0, 30, tzinfo=berlin))) == "v20261120"
    assert str(VersionId.first_of(datetime(2026, 11, 21, 0, 30, tzinfo=UTC))) == "v20261121"
