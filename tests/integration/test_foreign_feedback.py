"""Queries that match nothing, and answers taken back, on the whole road from file to service."""

from __future__ import annotations

import json

from tests.support.worlds import Answer, World, answers, vocabulary
from training_service.domain.snapshot import FEEDBACK_FILE, SNAPSHOT_FOLDER
from training_service.ingest.amendments import Amendment, amendments_file, line_of

FIRST = next(iter(vocabulary()))
MOMENT = "2030-01-01T00:00:00+00:00"


def test_a_query_that_means_nothing_is_rejected_when_served(served: World) -> None:
    """It is no row of the index, it is rejected word for word, and a run learns beside it."""
    query = f"{vocabulary()[FIRST][0]} x"
    (before,) = served.train("match", "--json", query, "--top", "1").document["candidates"]
    served.write_feedback([*answers(vocabulary()), Answer(query, "")])
    report = served.built()
    assert report["verdict"].startswith("promoted"), report
    version = report["version"]
    assert "" not in served.read(version, "meta.json")["orig_keys"]
    lines = (served.store / version / SNAPSHOT_FOLDER / FEEDBACK_FILE).read_text().splitlines()
    assert [row["query"] for row in map(json.loads, lines) if not row["key"]] == [query]
    assert "rejected, 1 that no concept fits" in " ".join(served.train("smoke-test").out.split())
    asked = served.train("match", "--json", query.upper(), "--top", "1").document
    assert (asked["decision"], asked["candidates"][0]["id"]) == ("reject", before["id"])


def test_a_run_notices_what_was_taken_back(served: World) -> None:
    """An undo makes the next run another one; once it is reverted the first version is found."""
    undo = Amendment("1", MOMENT, "ann", until="2001-01-01T00:00:00+00:00")
    amendments_file(served.feedback).write_bytes(line_of(undo))
    assert served.built()["verdict"] == "unchanged"
    undo = Amendment("1", MOMENT, "ann", until=MOMENT)
    amendments_file(served.feedback).write_bytes(line_of(undo))
    plan = served.train("plan", "--json").document
    assert plan["unchanged"] is None
    back = Amendment("2", MOMENT, "ann", reverts="1")
    amendments_file(served.feedback).write_bytes(line_of(undo) + line_of(back))
    assert served.built()["verdict"] == "unchanged"
