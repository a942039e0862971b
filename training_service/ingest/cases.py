"""A file of cases becomes what each query must or must not be answered with, or every fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from training_service.domain.cases import Case, CaseKind, Cases
from training_service.domain.records import normalise
from training_service.errors import Fault, shown
from training_service.ingest.plain_text import collapsed, is_blank, unstorable
from training_service.ingest.plain_yaml import (
    Listing,
    Pairs,
    Scalar,
    Value,
    YamlFault,
    described,
    parse,
)
from training_service.ingest.source import Source, is_absent, read_source, refused
from training_service.observability import get_logger

DEFAULT_FILE = Path("configs/cases.yaml")
"""Read below the working directory where nothing else is asked for."""

MAX_BYTES = 1 << 19
"""Some eight thousand cases; PyYAML takes seconds for them."""

_KIND = "cases"
_KINDS: Mapping[str, CaseKind] = {
    "must_match": "must-match",
    "any_of": "any-of",
    "must_not": "must-not",
}
_FIELDS = ("name", "query", *_KINDS)
_FORM = "`cases:` with a list of cases below it"
_MOST_SUGGESTIONS = 5
_MOST_COMPARED = 10_000

log = get_logger()


def is_default(path: Path) -> bool:
    """Whether ``path`` is ``DEFAULT_FILE`` of some folder, which may be missing."""
    return path.parts[-len(DEFAULT_FILE.parts) :] == DEFAULT_FILE.parts


def load_cases(
    path: Path,
    labels: Mapping[str, str],
    *,
    of: str = "the canonical data",
    is_required: bool = True,
    max_bytes: int = MAX_BYTES,
) -> Cases:
    """Read ``cases: [{query, must_match | any_of | must_not, name}]``.

    A concept is named by its id, in any case and spacing, or by a label that no other concept
    has. A case without a name has its query for one. A file that nobody asked for may be missing,
    and is left alone when most of its concepts are unknown: it belongs to other data.

    Args:
        path: the YAML file.
        labels: the label of each concept id that a case may name.
        of: whose concepts these are, as messages say it.
        is_required: whether somebody asked for this file; the default one just lies there.
        max_bytes: a larger file is not read.

    Raises:
        InputError: no YAML of that form, an unknown concept, a case twice; carries every fault.
        ResourceLimitError: the file is larger than ``max_bytes``.
        StorageError: the file system refused to read it.
    """
    if not is_required and is_absent(path):
        return Cases(source=str(path))
    source = read_source(path, _KIND, max_bytes=max_bytes)
    concepts = _Concepts(labels, of)
    reader = _Reader(source.name, concepts)
    found = reader.cases(_root(source))
    if not is_required and concepts.are_foreign:
        log.warning("cases.foreign", source=source.name)
        return Cases(source=str(path), notes=(f"{source.name} is not used: {concepts}",))
    if reader.faults:
        raise refused(_KIND, reader.faults)
    log.info("cases.loaded", source=source.name, cases=len(found))
    return Cases(tuple(found), str(path))


def _root(source: Source) -> Value:
    try:
        root = parse(source.text())
    except YamlFault as fault:
        place = f"{source.name}:{fault.line}"
        raise refused(_KIND, [Fault(place, f"{fault.problem}; expected {_FORM}")]) from fault
    if root is None:
        empty = Fault(f"{source.name}:1", f"found nothing, expected {_FORM}")
        raise refused(_KIND, [empty], "add a case or remove the file")
    return root


class _Concepts:
    """Looks up which concept a text names."""

    def __init__(self, labels: Mapping[str, str], of: str) -> None:
        self._of = of
        self._labels = labels
        self._known = 0
        self._unknown = 0

    def __str__(self) -> str:
        asked = self._known + self._unknown
        return f"{self._unknown} of {asked} concepts that its cases name are none of {self._of}"

    @property
    def are_foreign(self) -> bool:
        """Whether most of what was looked up was not there."""
        return self._unknown > self._known

    @cached_property
    def _by_id(self) -> dict[str, str]:
        return {normalise(key): key for key in self._labels}

    @cached_property
    def _by_label(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key in sorted(self._labels):
            found.setdefault(normalise(self._labels[key]), []).append(key)
        return found

    def named(self, text: str) -> list[str]:
        """The concepts that ``text`` may mean: one as an id, else all that have it as label."""
        found = self._meant(text)
        self._known += bool(found)
        self._unknown += not found
        return found

    def _meant(self, text: str) -> list[str]:
        if text in self._labels:
            return [text]
        normal = normalise(text)
        if normal in self._by_id:
            return [self._by_id[normal]]
        return self._by_label.get(normal, [])

    def unknown(self, text: str) -> str:
        """What to say of a text that names no concept; the first few times with the nearest."""
        told = f"{shown(text)} is no concept of {self._of}"
        if self._unknown > _MOST_SUGGESTIONS or len(self._labels) > _MOST_COMPARED:
            return told
        near = get_close_matches(normalise(text)[:80], [*self._by_id, *self._by_label], n=1)
        if not near:
            return told
        named = self._by_id.get(near[0]) or self._labels[self._by_label[near[0]][0]]
        return f"{told}; the nearest is {shown(named)}"


class _Reader:
    """Values become cases; ``faults`` gathers what is wrong, in the order of the file."""

    def __init__(self, name: str, concepts: _Concepts) -> None:
        self.faults: list[Fault] = []
        self._name = name
        self._concepts = concepts
        self._queries: dict[str, int] = {}
        self._names: dict[str, int] = {}

    def cases(self, root: Value) -> list[Case]:
        """Every case that has no fault."""
        top = self._fields(root, ("cases",))
        if top is None:
            return []
        listed = top.get("cases")
        if not isinstance(listed, Listing) or not listed.items:
            found = "nothing" if listed is None else described(listed)
            found = "an empty list" if isinstance(listed, Listing) else found
            self._refuse(root if listed is None else listed, f"found {found}, expected {_FORM}")
            return []
        found_cases = [self._case(item) for item in listed.items]
        return [case for case in found_cases if case is not None]

    def _case(self, item: Value) -> Case | None:
        fields = self._fields(item, _FIELDS)
        if fields is None:
            return None
        query = self._text(item, fields, "query")
        name = self._text(item, fields, "name") if "name" in fields else query
        asked = [field for field in _KINDS if field in fields]
        if len(asked) != 1:
            found = " and ".join(asked) or "none"
            self._refuse(item, f"found {found} of {', '.join(_KINDS)}, expected one of them")
            return None
        expected = self._expected(asked[0], fields[asked[0]])
        if query is None or name is None:
            return None
        self._refuse_again(item, query, name)
        return Case(name, _KINDS[asked[0]], query, expected)

    def _fields(self, value: Value, known: Sequence[str]) -> dict[str, Value] | None:
        """The members of a mapping by name; unknown and repeated names are faults."""
        if not isinstance(value, Pairs):
            expected = _FORM if known == ("cases",) else f"a case with {', '.join(known)}"
            self._refuse(value, f"found {described(value)}, expected {expected}")
            return None
        fields: dict[str, Value] = {}
        for key, member in value.pairs:
            name = key.text if isinstance(key, Scalar) else None
            if name is None or name not in known:
                found = described(key) if name is None else shown(name)
                self._refuse(key, f"found {found}, expected {', '.join(known)}")
            elif name in fields:
                self._refuse(key, f"{name} stands there twice; keep one")
            else:
                fields[name] = member
        return fields

    def _text(self, item: Value, fields: Mapping[str, Value], name: str) -> str | None:
        value = fields.get(name)
        if value is None:
            self._refuse(item, f"found no {name}, expected one")
            return None
        return self._readable(value, name)

    def _readable(self, value: Value, name: str) -> str | None:
        """``value`` as a text that can be stored and seen."""
        if not isinstance(value, Scalar) or value.text is None:
            self._refuse(value, f"{name}: found {described(value)}, expected a text")
            return None
        if bad := unstorable(value.text):
            self._refuse(value, f"{name}: found {bad} in {shown(value.text)}, expected text")
            return None
        if is_blank(value.text):
            self._refuse(value, f"{name}: found blank text, expected text")
            return None
        return collapsed(value.text)

    def _expected(self, field: str, value: Value) -> tuple[str, ...]:
        """The concepts that a case names."""
        if isinstance(value, Listing) and field != "must_match":
            items = value.items
        elif isinstance(value, Scalar) and field != "any_of":
            items = (value,)
        else:
            kind = {"must_match": "one concept", "any_of": "a list of concepts"}
            wanted = kind.get(field, "a concept or a list of them")
            self._refuse(value, f"{field}: found {described(value)}, expected {wanted}")
            return ()
        if not items:
            self._refuse(value, f"{field}: found an empty list, expected concepts")
        found = [(item, self._concept(item, field)) for item in items]
        counts = Counter(key for _, key in found if key is not None)
        for key in (key for key, count in counts.items() if count > 1):
            self._refuse(value, f"{field}: {shown(key)} is named twice; keep one")
        return tuple(counts)

    def _concept(self, item: Value, field: str) -> str | None:
        text = self._readable(item, field)
        if text is None:
            return None
        found = self._concepts.named(text)
        if len(found) == 1:
            return found[0]
        if found:
            first = ", ".join(map(shown, found[:3])) + (", …" if len(found) > 3 else "")
            problem = f"{shown(text)} is the label of {len(found)} concepts ({first}); give an id"
            self._refuse(item, f"{field}: {problem}")
        else:
            self._refuse(item, f"{field}: {self._concepts.unknown(text)}")
        return None

    def _refuse_again(self, item: Value, query: str, name: str) -> None:
        """Note what a case is known by; the same again is a fault, told once for each case."""
        for what, seen, key, text in (
            ("query", self._queries, normalise(query), query),
            ("name", self._names, name, name),
        ):
            if key in seen:
                again = f"the {what} {shown(text)} stands there again, first in line {seen[key]}"
                self._refuse(item, f"{again}; keep one case for each")
                return
            seen[key] = item.line

    def _refuse(self, value: Value, problem: str) -> None:
        self.faults.append(Fault(f"{self._name}:{value.line}", problem))
