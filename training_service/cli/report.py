"""``train report``: where a version's report is, and a browser to look at it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.match_table import check_target
from training_service.cli.options import STORE
from training_service.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    from training_service.domain.release import Manifest


@command(*STORE)
def report(
    frame: Frame,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="By default the one in service.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "--out", metavar="FILE.html", help="Write it there.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Tell where the report of a version is, and its verdict in a sentence.

    Exit code 12: the version was not judged, or what it holds is not as it was published.
    """
    from training_service.report.about import About, verdict_sentence
    from training_service.wiring import version_manager

    versions = version_manager(frame.store())
    name = versions.current() if version is None else version
    if name is None:
        hint = "name one; `train versions list` shows them"
        raise UsageError(f"no version of {versions.store} is in service", hint=hint)
    if output is not None:
        check_target(output, versions.store)
    manifest = versions.manifest(name)
    place = _report_of(versions.path(name), manifest, output)
    sentence = verdict_sentence(manifest.scorecard, About.of(manifest))
    document = {
        "version": name,
        "report": str(place),
        "verdict": manifest.scorecard.get("verdict"),
        "sentence": sentence,
    }
    frame.answer(document, sentence, str(place))
    if show:
        _open(frame, place)


def _report_of(folder: Path, manifest: Manifest, output: Path | None) -> Path:
    """The version's own report; without one, or for ``output``, a file outside the store."""
    from training_service.report.page import REPORT_FILE

    if output is None and REPORT_FILE in manifest.files:
        _sound(folder, REPORT_FILE, manifest)
        return folder / REPORT_FILE
    text = _text(folder, manifest)
    if output is None:
        return _temporary(text, manifest.version)
    from training_service.release.durable import write_bytes

    write_bytes(output.resolve(), text.encode())
    return output.resolve()


def _text(folder: Path, manifest: Manifest) -> str:
    """The report as it was published, or made of the evidence of a version without one."""
    from training_service.report.page import REPORT_FILE, render_report

    if REPORT_FILE in manifest.files:
        return _sound(folder, REPORT_FILE, manifest).decode()
    from training_service.domain.evidence import EVIDENCE_FILE
    from training_service.release.evidence_file import read_evidence
    from training_service.report.about import About

    evidence = read_evidence(folder)
    _sound(folder, EVIDENCE_FILE, manifest)
    return render_report(evidence, manifest.scorecard, About.of(manifest))


def _sound(folder: Path, name: str, manifest: Manifest) -> bytes:
    """The bytes of a file that is as it was published: a browser would run what it holds.

    Raises:
        ArtifactError: it is another, or none.
    """
    from training_service.release.durable import open_plain, unreadable

    path = folder / name
    try:
        with open_plain(path) as file:
            found = file.read()
    except OSError as problem:
        raise unreadable(path, problem) from problem
    record = manifest.files.get(name)
    if record is None or hashlib.sha256(found).hexdigest() != record.sha256:
        what = f"{manifest.version}: {name} is not as it was published"
        hint = f"`train versions verify {manifest.version}` tells what else differs"
        raise ArtifactError(what, hint=hint)
    return found


def _temporary(text: str, version: str) -> Path:
    """A file that stays until the system clears its folder of temporary files."""
    from training_service.release.durable import write_bytes

    place = Path(tempfile.mkdtemp(prefix="train-report-")) / f"{version}.html"
    write_bytes(place, text.encode())
    return place


def _open(frame: Frame, place: Path) -> None:
    import webbrowser

    if not webbrowser.open(place.as_uri()):
        frame.note(f"no browser could be opened; open {place} in one")
