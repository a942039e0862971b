"""What was found in a feedback file besides good rows becomes counts, and sentences on them."""

from __future__ import annotations

from training_service.errors import shown

_SHOWN_PLACES = 3
_MEANING = {
    "missing_file": "no feedback file, so nothing is learned from feedback",
    "no_rows": "no rows in the feedback file, so nothing is learned from feedback",
    "torn_last_line": "last row cut off and not used; is it still being written?",
    "withdrawn": "rows withdrawn by `train feedback undo`, not used",
    "blank_query": "rows without a query, not used",
    "blank_key": "rows without a matched_key, not used",
    "unknown_verdict": "rows with a verdict other than yes/no, true/false or 1/0, not used",
    "renamed": "rows whose concept has another id by `train feedback rename`, used for that",
    "unknown_key": "rows whose matched_key is no id of the canonical data, not used",
    "bad_timestamp": "rows with a timestamp that is not ISO-8601, used without it",
    "superseded": "rows overruled by a later answer, or by a rejection of the same time",
    "outvoted": "rows outvoted by other reviewers",
    "duplicate": "rows that repeat an answer, counted once",
    "multi_line": "rows that go over more than one line; is a quote missing?",
    "query_is_id": "rows with a canonical id as query, read as the label of that entry",
    "one_reviewer": "most answers are those of one reviewer, and so are their slips",
}


class Findings:
    """What was found in the file besides good rows, by kind, and where."""

    def __init__(self) -> None:
        self._by_kind: dict[str, list[tuple[int, str]]] = {}

    def add(self, kind: str, line: int = 0, found: str = "") -> None:
        """Note one place: its line, 0 for the file as such, and what stands there."""
        self._by_kind.setdefault(kind, []).append((line, found))

    def places(self, kind: str) -> list[tuple[int, str]]:
        """Every place of one kind, in the order of the file."""
        return sorted(self._by_kind.get(kind, []))

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind occurs that does."""
        return {kind: len(self._by_kind[kind]) for kind in _MEANING if kind in self._by_kind}

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence per kind that occurs, with its first places."""
        return tuple(map(self._note, self.counts))

    def _note(self, kind: str) -> str:
        places = self.places(kind)
        if places[0][0] == 0:
            return ": ".join(filter(None, (_MEANING[kind], places[0][1])))
        first = (
            f"line {line} {shown(found)}" if found else f"line {line}"
            for line, found in places[:_SHOWN_PLACES]
        )
        more = ", …" if len(places) > _SHOWN_PLACES else ""
        return f"{_MEANING[kind]}: {len(places)} ({', '.join(first)}{more})"
