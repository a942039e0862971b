from __future__ import annotations

import pytest

from training_service.domain.plain_json import MAX_DEPTH, PlainJsonError, parse_plain


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "Expecting value"),
        (b'{"a": 1, "a": 2}', 'the key "a" stands there twice'),
        (b"[NaN]", "NaN is no JSON number"),
        (b"[-Infinity]", "-Infinity is no JSON number"),
        (b"[1e999]", "the number 1e999 is out of range"),
        (b"9223372036854775808", "out of range"),
        (b"9" * 5000, "out of range"),
        (b'{"a": [[1], {"b": -9223372036854775808}]}', "-9223372036854775808 is out of range"),
        (b'["a", 1, 18446744073709551616]', "18446744073709551616 is out of range"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested more than 64 levels"),
        (b"[" * 100_000, "nested more than 64 levels"),
        (b'"\xff"', "can't decode byte 0xff"),
        (b"\xef\xbb\xbf{}", "Expecting value"),
        ('{"a": 1}'.encode("utf-16"), "can't decode byte"),
    ],
)
def test_what_could_mean_two_things_is_refused(data: bytes, told: str) -> None:
    """Keys given twice, figures without a value, other encodings and deep nesting are refused."""
    with pytest.raises(PlainJsonError, match=told):
        parse_plain(data)


def test_plain_values_are_read() -> None:
    """The largest integers, the deepest nesting and brackets in texts are what they are."""
    assert parse_plain(b'{"a": [9223372036854775807, -0.5, null]}') == {
        "a": [2**63 - 1, -0.5, None]
    }
    assert parse_plain(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert parse_plain(b'["' + b"[" * 500 + b'"]') == ["[" * 500]
