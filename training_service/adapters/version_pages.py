"""A judged build becomes the pages that people read of it: report, evidence, model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from training_service.domain.evidence import Evidence
from training_service.domain.file_names import MODEL_FOLDER, THRESHOLDS_FILE
from training_service.fit.model_folder import write_card
from training_service.release.durable import read_json, write_bytes
from training_service.release.evidence_file import write_evidence
from training_service.release.manifest import Draft
from training_service.report.about import About
from training_service.report.model_card import model_card
from training_service.report.page import REPORT_FILE, render_report


def write_pages(staging: Path, draft: Draft, evidence: Evidence | None) -> None:
    """Write them into the finished build ``staging``; without ``evidence`` the card alone.

    Raises:
        StorageError: the disk refused.
    """
    about = About(
        version="",
        made_at=draft.started_at.isoformat(),
        mode=draft.mode,
        run_id=draft.run_id,
        base_model=draft.base_model,
        inputs=draft.inputs,
        settings=draft.settings,
    )
    thresholds = read_json(staging / THRESHOLDS_FILE)
    write_card(
        staging / MODEL_FOLDER,
        model_card(about, draft.scorecard, cast("dict[str, Any]", thresholds)),
    )
    if evidence is not None:
        write_evidence(evidence, staging)
        page = render_report(evidence, draft.scorecard, about)
        write_bytes(staging / REPORT_FILE, page.encode())
