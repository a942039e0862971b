"""Concepts get other ids: what reviewers said of them is kept, and the champion is not wronged."""

from __future__ import annotations

import pytest

from tests.support.worlds import World, answers, held_out, tree, vocabulary
from training_service.ingest.amendments import amendments_file

KNOWN = vocabulary()
OLD = next(iter(KNOWN))
NEW = "Newly Named"


def with_other_id(served: World, new: str = NEW) -> None:
    """Give one concept of the canonical data another id, and let it keep its synonyms."""
    served.write_canonical({new if key == OLD else key: texts for key, texts in KNOWN.items()})


def test_answers_follow_a_concept_to_its_new_id(served: World) -> None:
    """The check tells of the likely rename, and once it is said the answers count for the new id.

    Matches, decisions and the next version are as if the concept had always been called so.
    """
    rows = sum(each.key == OLD for each in answers(KNOWN))
    with_other_id(served)
    before = served.train("feedback", "check", "--json").document
    assert before["counts"] == {"unknown_key": rows} == {"unknown_key": len(before["quarantine"])}
    (likely,) = before["likely_renames"]
    assert (likely["old"], likely["new"], likely["rows"]) == (OLD, NEW, rows)
    assert (likely["shared"], likely["texts"]) == (8, 9)
    page = served.train("feedback", "check").out
    assert "`train feedback rename OLD NEW`" in " ".join(page.split())

    dry = served.train("feedback", "rename", OLD, NEW, "--dry-run", "--json").document
    assert (dry["rows"], len(dry["lines"])) == (rows, rows)
    assert not amendments_file(served.feedback).exists()
    done = served.train("feedback", "rename", OLD, NEW, "--reason", "new edition")
    assert done.out.startswith(f'1: {rows} rows count for another id: "{OLD}" is "{NEW}" now; ')

    after = served.train("feedback", "check", "--json").document
    assert (after["counts"], after["quarantine"]) == ({"renamed": rows}, [])
    assert (after["likely_renames"], after["decisions"]["again"]) == ([], [])
    report = served.built()
    assert report["verdict"] == "promoted-passed"
    asked = next(each.query for each in answers(KNOWN) if each.key == OLD)
    answer = served.train("match", "--json", asked, "--top", "1").document
    assert (answer["decision"], answer["candidates"][0]["id"]) == ("accept", NEW)


def test_a_concept_may_be_renamed_again(served: World) -> None:
    """Once the new id is gone too the check tells of the next one, and the answers follow on."""
    with_other_id(served)
    served.train("feedback", "rename", OLD, NEW)
    served.built()
    rows = sum(each.key == OLD for each in answers(KNOWN))
    with_other_id(served, "Newest")
    (likely,) = served.train("feedback", "check", "--json").document["likely_renames"]
    assert (likely["old"], likely["new"], likely["rows"]) == (NEW, "Newest", rows)
    assert served.train("feedback", "rename", NEW, "Newest", "--json").document["rows"] == rows
    found = served.train("feedback", "check", "--json").document
    assert (found["counts"], found["decisions"]["again"]) == ({"renamed": rows}, [])


def test_the_champion_is_right_by_the_ids_that_it_knows(served: World) -> None:
    """Renamed concepts are no errors of the champion, so a worse challenger is still held."""
    asked = sorted(each.query for each in answers(KNOWN) if each.key == OLD)
    assert any(map(held_out, asked))
    before = served.read(str(served.latest), "metrics.json")["holdout"]
    with_other_id(served)
    served.train("feedback", "rename", OLD, NEW)
    champion = served.built()["metrics"]["champion"]["holdout"]
    assert (champion["n"], champion["top1"]) == (before["n"], before["top1"])


def test_a_rename_is_taken_back_and_rests_while_the_old_id_is_there(served: World) -> None:
    """Under the old canonical data nothing is renamed; a reverted rename leaves the quarantine."""
    with_other_id(served)
    served.train("feedback", "rename", OLD, NEW)
    served.write_canonical(KNOWN)
    assert served.train("feedback", "check", "--json").document["counts"] == {}
    with_other_id(served)
    back = served.train("feedback", "undo", "--revert", "1", "--json").document
    listed = served.train("feedback", "undo", "--list").out
    assert f'"{OLD}" is "{NEW}" now (reverted)' in " ".join(listed.split())
    found = served.train("feedback", "check", "--json").document["counts"]
    assert found == {"unknown_key": back["rows"]}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (OLD, NEW, "is a concept of"),
        ("Gone", "Nowhere", '"Nowhere" is no concept of'),
        ("Gone", "", '"" is no concept of'),
        ("Gone", OLD, 'no row in use names "Gone"'),
        (" ", OLD, '" " stands for no concept'),
        ("(none)", OLD, '"(none)" stands for no concept'),
    ],
)
def test_what_rename_refuses(served: World, old: str, new: str, told: str) -> None:
    """What would change no row, or name no concept, is a usage error and writes nothing."""
    before = tree(served.folder)
    done = served.train("feedback", "rename", old, new)
    assert done.code == 2
    assert told in done.error_lines[0]
    assert tree(served.folder) == before
