"""What programs rely on: one document on stdout, its keys, and silence where silence was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.worlds import World, answers, vocabulary

SCORES = {"n", "top1", "top1_ci95", "mrr", "recall5", "accept_coverage", "accept_precision"}
REJECTION = {"foreign", "foreign_rejected", "known", "known_rejected", "recall", "precision"}
REPORT = {
    "run_id",
    "version",
    "promoted",
    "verdict",
    "reasons",
    "metrics",
    "durations_s",
    "store",
}
STEPS = [
    *("preflight", "model", "encode", "learn", "judge", "index", "files", "check", "publish"),
    "promote",
    *("notify", "retention"),
]
QUERY = answers(vocabulary())[0].query


def table(world: World) -> Path:
    """A file with one query."""
    path = world.folder / "queries.csv"
    path.write_text(f"query\n{QUERY}\n", encoding="utf-8")
    return path


def test_first_full_train_has_the_promised_keys(fresh: World) -> None:
    """The object of a full-train has every promised key, with figures of the right kind."""
    done = fresh.train("full-train", "--json")
    report = done.document
    assert report.keys() >= REPORT
    metrics = report["metrics"]
    for name in ("holdout", "replay", "recent"):
        assert metrics[name].keys() == SCORES
    low, high = metrics["holdout"]["top1_ci95"]
    assert 0 <= low <= metrics["holdout"]["top1"] <= high <= 1
    assert metrics["holdout"]["n"] == 60
    assert metrics["replay"]["n"] == 256
    assert (metrics["decided_by"], metrics["champion"]) == ("holdout", None)
    assert metrics["rejection"].keys() == REJECTION
    assert (metrics["rejection"]["foreign"], metrics["rejection"]["known"]) == (0, 60)
    assert report["store"] == str(fresh.store)
    assert list(report["durations_s"]) == [*STEPS, "total"]


def test_champion_is_told_with_its_basis_and_flips(served: World) -> None:
    """The champion's figures say how they were taken and on which queries the two differ."""
    served.write_feedback(answers(vocabulary())[:-8])
    champion = served.built()["metrics"]["champion"]
    assert champion["version"] == served.versions[0]
    assert "without the held-out answers" in champion["basis"]
    assert champion["holdout"].keys() == SCORES | {"won", "lost", "mcnemar_p"}
    assert champion["recent"].keys() == SCORES | {"won", "lost", "mcnemar_p"}


def test_journal_tells_steps_inputs_and_verdict(served_once: World) -> None:
    """The journal of a run has its steps with durations, the inputs' digests and the verdict."""
    (path,) = (served_once.store / "runs").iterdir()
    journal = json.loads(path.read_text(encoding="utf-8"))
    assert journal["run_id"] == path.stem
    assert [(step["name"], step["state"]) for step in journal["steps"]] == [
        (name, "done") for name in STEPS
    ]
    assert all(step["duration_s"] >= 0 for step in journal["steps"])
    notes = journal["notes"]
    assert (journal["outcome"], notes["verdict"]) == ("promoted-first", "promoted-first")
    assert (notes["mode"], notes["version"]) == ("full-train", served_once.latest)
    assert len(notes["inputs"]["canonical"]["sha256"]) == 64
    assert len(notes["inputs"]["feedback"]["content_sha256"]) == 64
    assert notes["metrics"]["holdout"]["n"] == 60
    manifest = served_once.read(str(served_once.latest), "manifest.json")
    assert manifest["inputs"] == notes["inputs"]
    assert manifest["scorecard"]["holdout"] == notes["metrics"]["holdout"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["smoke-test"],
        ["build-index"],
        ["build-index-feedback"],
        ["full-train"],
        ["full-train", "--rebuild"],
        ["match", "x"],
        ["match", "x", "y"],
        ["match", "--input", "queries.csv"],
        ["match", "--input", "queries.csv", "--output", "out.csv"],
        ["versions", "list"],
        ["versions", "show", "LATEST"],
        ["versions", "diff", "LATEST", "LATEST"],
        ["versions", "verify"],
        ["config"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("more", [[], ["--debug"]], ids=["plain", "debug"])
def test_json_is_one_document_and_nothing_else(
    served: World, arguments: list[str], more: list[str]
) -> None:
    """Every command with --json writes exactly one JSON object to stdout; logs are JSON lines."""
    table(served)
    named = [str(served.latest) if part == "LATEST" else part for part in arguments]
    done = served.train(*named, "--json", *more)
    assert done.code == 0, done.err
    assert done.out.count("\n") == 1
    assert done.document
    events: list[dict[str, Any]] = [json.loads(line) for line in done.err.splitlines()]
    assert all("event" in event for event in events)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["match", "x", "--version", "v19990101"], 2),
        (["match", "--input", "missing.csv"], 10),
        (["versions", "show", "v19990101"], 2),
        (["versions", "rollback"], 2),
        (["full-train", "--force"], 2),
        (["full-train", "--canonical", "missing.json"], 10),
        (["build-index", "--base-model", "no/such-model"], 14),
        (["full-train", "--min-accuracy", "80"], 2),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else str(part),
)
def test_failure_as_json_ends_stderr_and_leaves_stdout_empty(
    served: World, arguments: list[str], code: int
) -> None:
    """A failing command with --json has no stdout, and code and reason in the last line."""
    before = served.versions, served.latest
    done = served.train(*arguments, "--json")
    assert (done.code, done.out) == (code, "")
    assert done.last_words["code"] == code
    assert done.last_words["reason"]
    assert len(done.error_lines) == 1
    assert (served.versions, served.latest) == before


def test_quiet_says_nothing_of_what_was_done(fresh: World) -> None:
    """With --quiet a success prints nothing on either stream, whatever was made or switched."""
    table(fresh)
    commands = [
        ["build-index"],
        ["full-train"],
        ["full-train"],
        ["match", "--input", "queries.csv", "--output", "out.csv"],
        ["versions", "promote", "VERSION", "--reason", "test"],
        ["versions", "rollback"],
    ]
    for command in commands:
        first = fresh.versions[0] if fresh.versions else ""
        done = fresh.train(*(first if part == "VERSION" else part for part in command), "--quiet")
        assert (done.code, done.out, done.err) == (0, "", ""), command
    assert fresh.latest == fresh.versions[1]


def test_quiet_answers_what_was_asked(served_once: World) -> None:
    """A question is answered under --quiet too."""
    for command in (["match", QUERY], ["versions", "list"], ["smoke-test"], ["config"]):
        done = served_once.train(*command, "--quiet")
        assert done.code == 0
        assert done.out
        assert done.err == ""


def test_log_lines_are_json_on_request(fresh: World) -> None:
    """--log-format json makes every line of stderr an object with the run it belongs to."""
    done = fresh.train("build-index", "--log-format", "json")
    events = [json.loads(line) for line in done.err.splitlines()]
    steps = [event for event in events if event["event"] == "step.finished"]
    not_in_a_build = {"learn", "judge", "promote", "notify"}
    expected = [name for name in STEPS if name not in not_in_a_build]
    assert [event["step"] for event in steps] == expected
    assert len({event["run_id"] for event in steps}) == 1
