"""Manifests: made of drafts, and parsed strictly."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.versions import draft
from training_service.domain.release import FileRecord
from training_service.errors import ArtifactError
from training_service.release import manifest as manifests

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def spelled(**changes: object) -> dict[str, Any]:
    """A manifest as JSON data, with some fields changed."""
    naming = manifests.Naming("v20261120", 1, START)
    files = {
        "index.faiss": FileRecord(3, "a" * 64),
        "chroma/chroma.sqlite3": FileRecord(5, "b" * 64),
    }
    return {**manifests.to_json(manifests.named(draft(START), naming, files)), **changes}


def test_a_manifest_reads_back_as_it_was_written() -> None:
    """JSON and back gives an equal manifest."""
    data = spelled()

    assert manifests.to_json(manifests.from_json(data, "here")) == data


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "latest"},
        {"sequence": 0},
        {"sequence": True},
        {"parent": "../v20261120"},
        {"schema_version": 2},
        {"settings": []},
        {"run_id": 7},
        {"unheard_of": 1},
        {"caches": {"model": {}}},
        {"caches": {"chroma": {"count": 3}}},
        {"caches": {"chroma": {"content_sha256": "a" * 64}}},
        {"caches": {"chroma": {"count": True, "content_sha256": "a" * 64}}},
        {"caches": {"chroma": {"count": 3, "content_sha256": "a"}}},
        {"caches": {"chroma": {"count": 3, "content_sha256": "a" * 64, "more": 1}}},
        {"files": {"../escape": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"/etc/passwd": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"a\\b": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"a//b": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"manifest.json": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"chroma/data": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"a": {"size": -1, "sha256": "a" * 64}}},
        {"files": {"a": {"size": 1, "sha256": "A" * 64}}},
        {"files": {"a": {"size": 1}}},
    ],
    ids=str,
)
def test_a_manifest_with_a_bad_field_is_refused(changes: dict[str, Any]) -> None:
    """Each wrong field is named in an ArtifactError."""
    with pytest.raises(ArtifactError) as caught:
        manifests.from_json(spelled(**changes), "manifest.json")
    assert [next(iter(changes)) in fault.where for fault in caught.value.faults] == [True]


def test_every_bad_field_is_listed() -> None:
    """A manifest with three faults tells all three."""
    data = spelled(sequence=-1, mode=None)
    del data["files"]

    with pytest.raises(ArtifactError) as caught:
        manifests.from_json(data, "manifest.json")
    assert {fault.where for fault in caught.value.faults} == {"sequence", "mode", "files"}


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    field=st.sampled_from(sorted(spelled())),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(),
        lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.text(), inner, min_size=1),
        max_leaves=4,
    ),
)
def test_a_field_of_any_other_shape_never_escapes_as_another_error(
    field: str, value: object
) -> None:
    """Whatever stands in a field, parsing ends in a manifest that says it, or in its fault."""
    faults = []
    try:
        parsed = manifests.from_json(spelled(**{field: value}), "manifest.json")
    except ArtifactError as refused:
        faults = [fault.where for fault in refused.faults]
        parsed = manifests.from_json(spelled(), "manifest.json")
        value = spelled()[field]

    assert faults in ([], [field])
    assert manifests.to_json(parsed)[field] == value


def test_the_files_of_a_cache_are_not_listed() -> None:
    """Files below a derived folder, never the same twice, are no part of the manifest."""
    data = spelled()

    assert set(data["files"]) == {"index.faiss"}
    assert data["caches"]["chroma"] == {"count": 3, "content_sha256": "c" * 64}
