"""The file of cases: what is read from it, and every fault by line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from training_service.domain.cases import Case
from training_service.domain.records import normalise
from training_service.errors import InputError, ResourceLimitError
from training_service.ingest.cases import load_cases

TITLES = {name: name for name in ("Baker", "Nurse", "Nursing  Assistant", "No", "012")}
CODES = {"11-1": "Chief", "11-2": "Manager", "11-3": "manager", "11-4": "11-1"}


def written(folder: Path, content: str | bytes) -> Path:
    """A file with this content."""
    path = folder / "cases.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def faults(folder: Path, content: str | bytes, labels: dict[str, str] = TITLES) -> list[str]:
    """The faults that the content is refused with, from the line on."""
    path = written(folder, content)
    with pytest.raises(InputError) as error:
        load_cases(path, labels)
    return [str(fault).removeprefix(f"{path}:") for fault in error.value.faults]


def case(rest: str) -> str:
    """A file with one case in its second line."""
    return f"cases:\n  - {{{rest}}}\n"


def test_every_kind_is_read(tmp_path: Path) -> None:
    """One concept, one of several, none of them; a case without a name has its query for one."""
    content = """\
# comments are free
cases:
  - query: "  bread   maker "
    must_match: baker
  - {name: wards, query: ward nurse, any_of: [Nurse, nursing assistant]}
  - query: yes
    must_not: no
  - query: 012
    must_not:
      - 012
      - Baker
"""
    found = load_cases(written(tmp_path, content), TITLES)
    assert found.cases == (
        Case("bread maker", "must-match", "bread maker", ("Baker",)),
        Case("wards", "any-of", "ward nurse", ("Nurse", "Nursing  Assistant")),
        Case("yes", "must-not", "yes", ("No",)),
        Case("012", "must-not", "012", ("012", "Baker")),
    )
    assert found.source == str(tmp_path / "cases.yaml")


def test_a_code_may_be_named_by_its_label(tmp_path: Path) -> None:
    """An id wins over a label; a label that several concepts have names none of them."""
    content = case("query: boss, any_of: [chief, 11-2]")
    assert load_cases(written(tmp_path, content), CODES).cases[0].expected == ("11-1", "11-2")
    own = load_cases(written(tmp_path, case("query: boss, must_match: 11-1")), CODES)
    assert own.cases[0].expected == ("11-1",)
    assert faults(tmp_path, case("query: boss, must_match: Manager"), CODES) == [
        '2: must_match: "Manager" is the label of 2 concepts ("11-2", "11-3"); give an id'
    ]


def test_what_is_asked_has_a_digest(tmp_path: Path) -> None:
    """Comments and the place of the file change nothing; another concept does."""
    one = load_cases(written(tmp_path, case("query: x, must_match: Baker")), TITLES)
    content = "# why\ncases:\n- query: x\n  must_match: baker\n"
    same = load_cases(written(tmp_path, content), TITLES)
    other = load_cases(written(tmp_path, case("query: x, must_not: Baker")), TITLES)
    assert one.content_sha256 == same.content_sha256 != other.content_sha256


FORM = "expected `cases:` with a list of cases below it"
NONE_OF = "2: found none of must_match, any_of, must_not, expected one of them"
BOTH_OF = NONE_OF.replace("none", "must_match and any_of")
FIELDS = "name, query, must_match, any_of, must_not"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", [f"1: found nothing, {FORM}"]),
        ("# only a comment\n", [f"1: found nothing, {FORM}"]),
        ("- query: x\n", [f"1: found a list, {FORM}"]),
        ("cases:\n", [f"1: found nothing, {FORM}"]),
        ("cases: []\n", [f"1: found an empty list, {FORM}"]),
        ("cases: {}\n", [f"1: found a mapping, {FORM}"]),
        ("case:\n  - {}\n", ['1: found "case", expected cases', f"1: found nothing, {FORM}"]),
        ("cases: [x]\n", [f'1: found the text "x", expected a case with {FIELDS}']),
        (
            case("query: x, must: Baker"),
            [
                f'2: found "must", expected {FIELDS}',
                NONE_OF,
            ],
        ),
        (case("query: x"), [NONE_OF]),
        (
            case("query: x, must_match: Baker, any_of: [Nurse]"),
            [BOTH_OF],
        ),
        (case("must_match: Baker"), ["2: found no query, expected one"]),
        (case('query: "", must_match: Baker'), ["2: query: found blank text, expected text"]),
        (case("query: ~, must_match: Baker"), ["2: query: found nothing, expected a text"]),
        (case("query: [x], must_match: Baker"), ["2: query: found a list, expected a text"]),
        (
            case('query: "a\\0b", must_match: Baker'),
            ['2: query: found NUL in "a\\x00b", expected text'],
        ),
        (
            case("query: x, must_match: [Baker]"),
            ["2: must_match: found a list, expected one concept"],
        ),
        (
            case("query: x, any_of: Baker"),
            ['2: any_of: found the text "Baker", expected a list of concepts'],
        ),
        (
            case("query: x, must_not: {a: b}"),
            ["2: must_not: found a mapping, expected a concept or a list of them"],
        ),
        (case("query: x, any_of: []"), ["2: any_of: found an empty list, expected concepts"]),
        (
            case("query: x, any_of: [Baker, BAKER]"),
            ['2: any_of: "Baker" is named twice; keep one'],
        ),
        (
            case("query: x, must_match: Bakr"),
            ['2: must_match: "Bakr" is no concept of the canonical data; the nearest is "Baker"'],
        ),
        (
            case("query: x, must_match: zzz"),
            ['2: must_match: "zzz" is no concept of the canonical data'],
        ),
        (case("query: x, query: y, must_not: Baker"), ["2: query stands there twice; keep one"]),
        (
            "cases:\n- {query: x, must_not: No}\n- {query: X, must_not: Baker}\n",
            ['3: the query "X" stands there again, first in line 2; keep one case for each'],
        ),
        (
            "cases: [{query: x, must_not: No}, {name: x, query: y, must_not: Baker}]\n",
            ['1: the name "x" stands there again, first in line 1; keep one case for each'],
        ),
    ],
)
def test_faults_are_told_by_line(tmp_path: Path, content: str, expected: list[str]) -> None:
    """What is unknown, missing, twice or of another kind is refused, with what was expected."""
    assert faults(tmp_path, content) == expected


def test_every_fault_is_told(tmp_path: Path) -> None:
    """One bad case hides no other, and the nearest concept is looked for a few times only."""
    lines = [f"- {{query: q{i}, must_match: Bakr}}" for i in range(9)]
    found = faults(tmp_path, "\n".join(["cases:", *lines]))
    assert [fault.partition(":")[0] for fault in found] == [str(i) for i in range(2, 11)]
    assert sum("the nearest is" in fault for fault in found) == 5


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("cases: [\n", "2: not valid YAML: "),
        ("a: b\n---\nc: d\n", "2: not valid YAML: "),
        ("cases:\n- &a {query: x}\n", "2: found an anchor, expected plain data; "),
        ("cases:\n- *a\n", "2: found an alias, expected plain data; "),
        ("cases:\n- !!python/name:os.system x\n", "2: found a tag, expected plain data; "),
        ("cases: " + "[" * 50, "1: nested too deeply; "),
        ("- " * 2000 + "x", "1: nested too deeply; "),
        ("cases:\n- \x07\n", "2: not valid YAML: "),
        ('cases: ["\\UFFFFFFFF"]\n', "1: not valid YAML: a number is out of range; "),
        (b"cases:\n- \xff\n", "2: byte 9: found 0xFF, "),
    ],
)
def test_what_is_no_plain_yaml_is_refused(
    tmp_path: Path, content: str | bytes, expected: str
) -> None:
    """Tags, aliases, deep brackets and broken syntax are one fault in one line."""
    (fault,) = faults(tmp_path, content)
    assert fault.startswith(expected)
    assert "\n" not in fault


def test_a_missing_file_is_no_cases_only_where_none_is_asked_for(tmp_path: Path) -> None:
    """The default may be absent; a path that somebody gave may not, nor a dangling link."""
    path = tmp_path / "cases.yaml"
    assert load_cases(path, TITLES, is_required=False).cases == ()
    with pytest.raises(InputError, match="cannot be read"):
        load_cases(path, TITLES)
    path.symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="cannot be read"):
        load_cases(path, TITLES, is_required=False)


def test_the_default_file_is_left_alone_when_it_belongs_to_other_data(tmp_path: Path) -> None:
    """With most concepts unknown it is told and not used, unless somebody asked for it."""
    most = written(tmp_path, case("query: x, any_of: [Baker, Pilot, Sailor]"))
    found = load_cases(most, TITLES, is_required=False)
    told = "2 of 3 concepts that its cases name are none of the canonical data"
    assert (found.cases, found.notes) == ((), (f"{most} is not used: {told}",))
    for content, is_required in (("[Baker, Pilot, Sailor]", True), ("[Baker, Pilot]", False)):
        path = written(tmp_path, case(f"query: x, any_of: {content}"))
        with pytest.raises(InputError, match='"Pilot" is no concept of the canonical data'):
            load_cases(path, TITLES, is_required=is_required)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    """More bytes than are let pass are refused before they are parsed."""
    with pytest.raises(ResourceLimitError, match="found 20 bytes or more, expected at most 10"):
        load_cases(written(tmp_path, "#" * 20), TITLES, max_bytes=10)


plain_text = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=12
).filter(lambda text: any(char.isprintable() and not char.isspace() for char in text))
keys = st.lists(st.sampled_from(sorted(TITLES)), min_size=1, unique=True)
kinds = st.sampled_from(["must_match", "any_of", "must_not"])


@given(
    st.lists(st.tuples(plain_text, kinds, keys), min_size=1, unique_by=lambda c: normalise(c[0]))
)
def test_what_a_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, given_cases: list[tuple[str, str, list[str]]]
) -> None:
    """Any cases, written as YAML in any style, come back as they are but for white space."""
    document = {
        "cases": [
            {"query": query, kind: wanted[0] if kind == "must_match" else wanted}
            for query, kind, wanted in given_cases
        ]
    }
    text = yaml.safe_dump(document, allow_unicode=len(given_cases) % 2 == 0)
    path = written(tmp_path_factory.mktemp("cases"), text)
    found = load_cases(path, TITLES).cases
    assert [(c.query, c.kind) for c in found] == [
        (" ".join(query.split()), kind.replace("_", "-")) for query, kind, _ in given_cases
    ]
    assert [list(c.expected) for c in found] == [
        wanted[:1] if kind == "must_match" else wanted for _, kind, wanted in given_cases
    ]


marks = st.sampled_from("-:[]{},&*!|>'\"%@`#?~ \n\tab\\\0\x85\u2028")
words = st.sampled_from(["cases", "query", "Baker", "\n  - ", ": ", "<<", "!!set", "1e999"])


@given(st.lists(marks | words))
def test_any_text_is_read_or_refused_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str]
) -> None:
    """Nothing but a refusal that names file and line comes of text that is no file of cases."""
    path = written(tmp_path_factory.mktemp("cases"), "".join(pieces))
    with pytest.raises(InputError) as error:
        load_cases(path, TITLES)
    assert error.value.faults
    assert all(fault.where.startswith(f"{path}:") for fault in error.value.faults)
