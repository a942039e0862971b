from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training_service.ingest.strict_json import (
    JsonFault,
    Members,
    Number,
    Place,
    lines_of,
    parse,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


def places_of(value: object, place: Place = ()) -> list[Place]:
    """Every place of a parsed value, found by walking it."""
    found = [place]
    if isinstance(value, list):
        for ordinal, item in enumerate(value):
            inner = item[1] if isinstance(value, Members) else item
            found += places_of(inner, (*place, ordinal))
    return found


def test_nothing_is_lost_or_read_into_numbers() -> None:
    """Repeated keys are both there, and numbers keep their spelling whatever their size."""
    value = parse('{"a": 1, "a": [NaN, 1e999, -Infinity, ' + "9" * 5000 + "]}")
    assert isinstance(value, Members)
    assert [key for key, _ in value] == ["a", "a"]
    spellings = ["NaN", "1e999", "-Infinity", "9" * 5000]
    assert value[1][1] == [Number(spelling) for spelling in spellings]


def test_depth_bomb_is_a_located_fault() -> None:
    """A million open brackets end in a located fault, not in a recursion error."""
    with pytest.raises(JsonFault) as caught:
        parse("{\n\n" + '"a":' + "[" * 1_000_000)
    assert (caught.value.line, caught.value.column) == (3, 4 + 64)


@given(value=VALUES)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_each_place_is_found_on_its_line(value: object) -> None:
    """Pretty-printed JSON has one value per line, so the lines of all places follow from it."""
    text = json.dumps(value, indent=0, ensure_ascii=False)
    places = places_of(parse(text))
    lines = lines_of(text, set(places))
    assert set(lines) == set(places)
    in_order = [lines[place] for place in places]
    assert in_order == sorted(in_order)
    assert len(set(in_order)) == len(places)


def test_only_wanted_places_are_told() -> None:
    """The place of a member is the line of its key, that of an element the line it starts on."""
    text = '{"a":\n["x",\n"y"], "b"\n:\n{"c": []}}'
    wanted: set[Place] = {(0,), (0, 1), (1,), (1, 0)}
    assert lines_of(text, wanted) == {(0,): 1, (0, 1): 3, (1,): 3, (1, 0): 5}
    assert lines_of(text, set()) == {}
