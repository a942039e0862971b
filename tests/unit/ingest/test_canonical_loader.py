from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bad_inputs import VOCABULARY, bad_inputs, outcome
from training_service.domain.records import Canonical, normalise
from training_service.errors import InputError, ResourceLimitError, TrainError
from training_service.ingest.canonical_loader import LONG_TEXT_CHARS, load_canonical

ONET = Path(__file__).parents[4] / "shared" / "data" / "onet" / "canonical.json"

PROPERTY = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

Load = Callable[..., Canonical]


def _texts_by_id(canonical: Canonical) -> dict[str, tuple[str, ...]]:
    return {entry.id: entry.texts for entry in canonical.entries}


def test_id_that_is_text_is_label_and_first_text(canonical_of: Load) -> None:
    """An id that is text names its entry and is embedded with the synonyms."""
    canonical = canonical_of({"Software Engineer": ["SWE", "Developer"]})
    entry = canonical.entries[0]
    assert canonical.id_kind == "text"
    assert entry.label == "Software Engineer"
    assert entry.texts == ("Software Engineer", "SWE", "Developer")


def test_code_is_no_text_and_first_synonym_is_its_label(canonical_of: Load) -> None:
    """A code is not embedded; the first synonym stands as label."""
    canonical = canonical_of({"11-1011.00": ["Chief Executives", "CEO"]})
    entry = canonical.entries[0]
    assert canonical.id_kind == "code"
    assert (entry.label, entry.texts) == ("Chief Executives", ("Chief Executives", "CEO"))
    assert canonical.id_kind_reason.startswith("1 of 1 ids look like codes")


def test_given_label_comes_first_and_wins(canonical_of: Load) -> None:
    """A given label leads the texts, whether ids are codes or text, and is not doubled."""
    entry = {"label": "CEO", "synonyms": ["Boss", "ceo"], "description": "runs  it\nall"}
    code = canonical_of({"11-1": entry}).entries[0]
    text = canonical_of({"Chief Executive": entry}).entries[0]
    assert (code.label, code.texts) == ("CEO", ("CEO", "Boss"))
    assert (text.label, text.texts) == ("CEO", ("CEO", "Chief Executive", "Boss"))
    assert code.description == "runs it all"


def test_three_forms_say_the_same(canonical_of: Load) -> None:
    """Lists, objects and JSONL (either suffix, blank lines allowed) give equal entries."""
    lists = {"Baker": ["Cook"], "Nurse": ["RN"]}
    mixed = {"Baker": {"synonyms": ["Cook"]}, "Nurse": ["RN"]}
    lines = '{"synonyms": ["RN"], "id": "Nurse"}\r\n\r\n{"id": "Baker", "synonyms": ["Cook"]}\n'
    expected = canonical_of(lists).entries
    assert canonical_of(mixed).entries == expected
    assert canonical_of(lines, ".jsonl").entries == expected
    assert canonical_of(lines.rstrip(), ".NDJSON").entries == expected


@pytest.mark.parametrize(
    ("ids", "kind", "count"),
    [
        (["11-1011.00", "15-1252.00"], "code", "2 of 2"),
        (["Q42", "Q7", "Baker"], "code", "2 of 3"),
        (["Q42", "Baker"], "text", "1 of 2"),
        (["3D Artist", "Level 2 Cook"], "text", "0 of 2"),
        (["---", "Baker", "#"], "code", "2 of 3"),
        (["日本", "C++"], "text", "0 of 2"),
    ],
)
def test_kind_of_ids_follows_the_majority(
    canonical_of: Load, ids: list[str], kind: str, count: str
) -> None:
    """More than half of the ids must look like codes, and the reason says how many do."""
    canonical = canonical_of({key: [f"name {place}"] for place, key in enumerate(ids)})
    assert canonical.id_kind == kind
    assert canonical.id_kind_reason.startswith(f"{count} ids look like codes")


@pytest.mark.parametrize("kind", ["text", "code"])
def test_kind_of_ids_can_be_set(canonical_of: Load, kind: Literal["text", "code"]) -> None:
    """A kind that is set wins over what the ids look like, and the reason says so."""
    canonical = canonical_of({"Q42": ["Baker"]}, id_kind=kind)
    assert canonical.id_kind == kind
    assert canonical.id_kind_reason.startswith(f"set to {kind}; 1 of 1")


def test_order_of_the_file_does_not_order_entries(canonical_of: Load) -> None:
    """Entries come ordered by id, so moving one in the file changes nothing but the digest."""
    one = canonical_of({"Nurse": ["RN"], "Baker": ["Cook"]})
    two = canonical_of({"Baker": ["Cook"], "Nurse": ["RN"]})
    assert one.entries == two.entries
    assert [entry.id for entry in one.entries] == ["Baker", "Nurse"]
    assert one.sha256 != two.sha256


def test_digest_is_of_the_bytes_as_they_are(canonical_of: Load) -> None:
    """The digest covers the byte-order mark too, and the mark changes no entry."""
    content = b"\xef\xbb\xbf" + '{"Bäcker": ["Koch"]}'.encode()
    canonical = canonical_of(content)
    assert canonical.sha256 == hashlib.sha256(content).hexdigest()
    assert _texts_by_id(canonical) == {"Bäcker": ("Bäcker", "Koch")}


def test_repeats_inside_an_entry_are_kept_once_and_told(canonical_of: Load) -> None:
    """Synonyms equal but for case, spaces or Unicode form stay once, in their first spelling."""
    canonical = canonical_of(
        {"Baker": ["Pastry  Cook", "pastry cook", "\uff30astry Cook", "BAKER"]}
    )
    assert _texts_by_id(canonical) == {"Baker": ("Baker", "Pastry Cook")}
    (note,) = canonical.notes
    assert note == (
        '2 synonyms repeated inside their entry (kept once), first: "pastry cook" of "Baker", '
        '"\uff30astry Cook" of "Baker"'
    )


def test_text_under_two_ids_is_legal_and_told(canonical_of: Load) -> None:
    """A text under several ids stays with each of them and is counted once."""
    canonical = canonical_of(
        {"Baker": ["Cook", "Host"], "Chef": ["cook"], "Clown": ["COOK", "Jester"]}
    )
    assert canonical.shared_texts == 1
    assert canonical.text_count == 8
    assert [note for note in canonical.notes if note.startswith("1 texts that stand under")]


def test_long_text_is_kept_and_told(canonical_of: Load) -> None:
    """A text longer than the model reads is kept whole, and its entry is named."""
    long = "word " * (LONG_TEXT_CHARS // 5) + "end"
    canonical = canonical_of({"Baker": [long, "w" * LONG_TEXT_CHARS]})
    assert canonical.entries[0].texts[1] == long
    (note,) = canonical.notes
    assert note == (
        "1 texts longer than 1000 characters (the end may not be read), "
        'first: "Baker" with 1003 characters'
    )


def test_strange_but_storable_characters_are_kept(canonical_of: Load) -> None:
    """Emoji, right-to-left marks and escaped control characters are data, not faults."""
    texts = ["👩‍🍳 cook", "\u202ekooc", "bell\u0007"]
    assert canonical_of({"Baker": texts}).entries[0].texts == ("Baker", *texts)


def test_blank_description_counts_as_absent(canonical_of: Load) -> None:
    """An empty description, as exports write it, is no fault."""
    assert (
        canonical_of({"Baker": {"synonyms": ["Cook"], "description": " "}}).entries[0].description
        is None
    )


def test_nul_byte_is_refused_at_its_offset(canonical_of: Load) -> None:
    """A NUL byte is refused naming line and byte, in JSON and in JSONL."""
    for suffix in (".json", ".jsonl"):
        with pytest.raises(InputError, match=rf"{suffix}:2: byte 3: found NUL"):
            canonical_of(b"{\n \0}", suffix)


def test_depth_bomb_is_refused(canonical_of: Load) -> None:
    """A million open brackets are an input error with a line and a column."""
    with pytest.raises(InputError, match=r"json:1:\d+: nested more than 64 levels deep"):
        canonical_of('{"a":' + "[" * 1_000_000)


def test_size_limit_is_that_of_the_call(tmp_path: Path) -> None:
    """A file over ``max_bytes`` is refused before it is parsed."""
    path = tmp_path / "canonical.json"
    path.write_text('{"Baker": ["Cook"]}', encoding="utf-8")
    with pytest.raises(ResourceLimitError):
        load_canonical(path, max_bytes=10)


def test_every_fault_of_every_entry_is_listed_in_file_order() -> None:
    """Faults of different kinds in one file are all listed, by line."""
    case = next(case for case in bad_inputs("canonical") if case.file.endswith("many_faults.json"))
    with pytest.raises(InputError) as caught:
        load_canonical(case.path)
    lines = [int(fault.where.rpartition(":")[2]) for fault in caught.value.faults]
    assert lines == [2, 3, 3, 3, 4, 6, 6]


def test_faults_of_syntax_and_of_shape_are_listed_by_line(canonical_of: Load) -> None:
    """A line that is no JSON takes its place among the lines that have the wrong shape."""
    with pytest.raises(InputError) as caught:
        canonical_of('["Baker"]\n{"id":\n"Nurse"\n', ".jsonl")
    lines = [fault.where.partition(".jsonl:")[2] for fault in caught.value.faults]
    assert lines == ["1", "2:7", "3"]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_truncation_at_every_byte(canonical_of: Load, suffix: str) -> None:
    """A file cut at any byte is refused, or where only white space is lost reads the same."""
    if suffix == ".json":
        content = VOCABULARY.read_bytes()
    else:
        content = '{"id": "Bäcker", "synonyms": ["Koch", "\\u00e4"]}\n'.encode()
    whole = _texts_by_id(canonical_of(content, suffix))
    for cut in range(len(content)):
        found = outcome(partial(canonical_of, content[:cut], suffix))
        if content[cut:].strip():
            assert isinstance(found, InputError)
            assert found.faults
        else:
            assert isinstance(found, Canonical)
            assert _texts_by_id(found) == whole


@given(content=st.binary(max_size=60))
@PROPERTY
def test_any_bytes_load_or_are_refused(canonical_of: Load, content: bytes) -> None:
    """No bytes whatever raise anything but the project's own errors."""
    for suffix in (".json", ".jsonl"):
        found = outcome(partial(canonical_of, content, suffix))
        if isinstance(found, TrainError):
            assert found.exit_code == 10
            assert str(found).isprintable()
        else:
            assert found.entries


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["id", "label", "synonyms", "a", "A", " ", "\ud800", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "A", "label", "synonyms", "id", ""]), inner)
    ),
    max_leaves=10,
)


@given(value=JSON_VALUES)
@PROPERTY
def test_any_json_value_loads_or_is_refused(canonical_of: Load, value: object) -> None:
    """Any JSON value gives sound entries or located faults, nothing else."""
    for suffix in (".json", ".jsonl"):
        found = outcome(partial(canonical_of, json.dumps(value), suffix))
        if isinstance(found, TrainError):
            assert found.faults
            continue
        for entry in found.entries:
            assert entry.texts[0] == entry.label
            assert len({normalise(text) for text in entry.texts}) == len(entry.texts)
            assert all(text.strip() for text in entry.texts)


@pytest.mark.skipif(not ONET.exists(), reason="the O*NET data is not here")
def test_onet_loads_whole() -> None:
    """O*NET's 1,016 occupations load with every title, as codes."""
    canonical = load_canonical(ONET)
    assert (len(canonical.entries), canonical.text_count) == (1016, 43974)
    assert canonical.id_kind == "code"
    assert canonical.shared_texts == 4864
