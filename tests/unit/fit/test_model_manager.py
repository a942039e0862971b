"""Base models: what is copied, what is refused, and which encoder is chosen."""

import json
from pathlib import Path

import pytest

from tests.support.model_backend import Backend
from training_service.adapters.model_sources import ModelSources
from training_service.domain.model import EncoderChoice, ResolvedModel
from training_service.errors import ArtifactError, SafetyError, StorageError
from training_service.fit.model_manager import ModelManager

MODULES = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with what a model needs and what it does not."""
    folder = tmp_path / "base"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "onnx").mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "modules.json").write_text(json.dumps(MODULES))
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "vocab.txt").write_text("a\n")
    (folder / ".gitattributes").write_text("")
    (folder / "onnx" / "model.onnx").write_bytes(b"another runtime")
    return folder


def manager(backend: Backend | None = None, cache: Path | None = None) -> ModelManager:
    """A manager over real sources and the given backend."""
    return ModelManager(ModelSources(), backend or Backend(), cache)


def names(folder: Path) -> set[str]:
    """The relative paths of the files in a folder."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_only_what_a_model_needs_is_copied(model: Path, tmp_path: Path) -> None:
    """Weights and text files arrive byte for byte; other runtimes and dot files stay behind."""
    base = manager().copy_base_model(str(model), tmp_path / "model")
    assert names(tmp_path / "model") == {
        "model.safetensors", "modules.json", "1_Pooling/config.json", "vocab.txt", "encoder.json",
    }  # fmt: skip
    assert (tmp_path / "model/model.safetensors").read_bytes() == b"weights"
    assert (base.origin, base.detail) == ("path", f"folder {model}")


def test_digest_tells_models_apart(model: Path, tmp_path: Path) -> None:
    """The digest stays for the same content elsewhere and changes with a byte or a file name."""
    first = manager().copy_base_model(f"path:{model}", tmp_path / "one")
    second = manager().copy_base_model(str(tmp_path / "one"), tmp_path / "two")
    assert first.sha256 != second.sha256, "encoder.json belongs to the folder it was copied from"
    again = manager().copy_base_model(str(model), tmp_path / "again")
    assert again.sha256 == first.sha256
    (model / "vocab.txt").rename(model / "words.txt")
    renamed = manager().copy_base_model(str(model), tmp_path / "renamed")
    (model / "words.txt").write_text("b\n")
    changed = manager().copy_base_model(str(model), tmp_path / "changed")
    assert len({first.sha256, renamed.sha256, changed.sha256}) == 3


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "a.pt", "b.PTH", "sub/c.pkl", "d.pickle", "e.ckpt", "f.joblib", "g.py"],
)
def test_files_that_can_hold_code_are_refused(model: Path, tmp_path: Path, name: str) -> None:
    """A pickle, checkpoint or script refuses the folder by name, and nothing is copied."""
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(b"\x80\x04.")
    with pytest.raises(SafetyError, match="expected safetensors") as refused:
        manager().copy_base_model(str(model), tmp_path / "model")
    assert [fault.where for fault in refused.value.faults] == [name]
    assert names(tmp_path / "model") == set()


def test_every_unsafe_thing_is_listed(model: Path, tmp_path: Path) -> None:
    """Links that leave, linked folders, foreign classes and paths are all told at once."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (model / "leak.txt").symlink_to(outside / "secret.txt")
    (model / "folder").symlink_to(model / "1_Pooling", target_is_directory=True)
    modules = [{"path": "../x", "type": "os.system"}, {"path": "", "type": "my.Module"}]
    (model / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(SafetyError) as refused:
        manager().copy_base_model(str(model), tmp_path / "model")
    assert [str(fault) for fault in refused.value.faults] == [
        "folder: a link to a folder",
        "leak.txt: a link that leaves the model's folder",
        'modules.json: found class "my.Module", expected one of sentence_transformers',
        'modules.json: found class "os.system", expected one of sentence_transformers',
        'modules.json: path "../x" leaves the folder',
    ]
    assert names(tmp_path / "model") == set()


def test_link_inside_the_folder_is_followed(model: Path, tmp_path: Path) -> None:
    """A link to another file of the model becomes a file of its own."""
    (model / "README.md").symlink_to("vocab.txt")
    manager().copy_base_model(str(model), tmp_path / "model")
    copied = tmp_path / "model/BASE_MODEL_CARD.md"
    assert copied.read_text() == "a\n"
    assert not copied.is_symlink()


def test_hub_snapshot_may_hold_what_others_fetched(model: Path, tmp_path: Path) -> None:
    """In a snapshot of the hub, links lead to the blobs beside it and a pickle is left alone."""
    snapshot = tmp_path / "repo/snapshots/0123"
    snapshot.parent.mkdir(parents=True)
    model.rename(snapshot)
    blob = tmp_path / "repo/blobs/ab"
    blob.parent.mkdir()
    (snapshot / "model.safetensors").rename(blob)
    (snapshot / "model.safetensors").symlink_to("../../blobs/ab")
    (snapshot / "pytorch_model.bin").write_bytes(b"\x80")

    class Hub:
        def resolve(self, name: str) -> ResolvedModel:
            return ResolvedModel(name, "hub", snapshot, "hub x", fence=snapshot.parents[1])

    ModelManager(Hub(), Backend()).copy_base_model("x", tmp_path / "model")
    assert (tmp_path / "model/model.safetensors").read_bytes() == b"weights"
    assert not (tmp_path / "model/pytorch_model.bin").exists()


def test_folder_without_weights_is_refused(model: Path, tmp_path: Path) -> None:
    """A folder without safetensors weights is no model."""
    (model / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"holds no \.safetensors weights"):
        manager().copy_base_model(str(model), tmp_path / "model")


@pytest.mark.parametrize("text", ["{", "[1]", '[{"type": "x"}]', "3"])
def test_unreadable_modules_are_refused(model: Path, tmp_path: Path, text: str) -> None:
    """A modules.json that is no list of modules is a damaged model."""
    (model / "modules.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"modules\.json: found no list of modules"):
        manager().copy_base_model(str(model), tmp_path / "model")


def test_refusal_of_the_disk_is_a_storage_error(model: Path, tmp_path: Path) -> None:
    """A target that cannot be a folder is told as a fault of the disk."""
    (tmp_path / "model").write_text("a file")
    with pytest.raises(StorageError, match="model"):
        manager().copy_base_model(str(model), tmp_path / "model")


def test_hashing_model_loads_without_weights(tmp_path: Path) -> None:
    """``hashing:64`` makes a folder that loads as the hashing encoder of that width."""
    made = manager()
    base = made.copy_base_model("hashing:64", tmp_path / "model")
    choice = made.ensure_fast(tmp_path / "model", base, ["a"])
    encoder = made.load_model(tmp_path / "model")
    assert (encoder.identity, encoder.dimension) == ("hashing:64", 64)
    assert (choice.backend, choice.min_cosine) == ("hashing", None)
    assert names(tmp_path / "model") == {"hashing.json", "encoder.json"}


def served(model: Path, target: Path, backend: Backend, cache: Path | None) -> EncoderChoice:
    """Copy a model and give it its export."""
    made = manager(backend, cache)
    base = made.copy_base_model(str(model), target)
    choice = made.ensure_fast(target, base, [f"text {'x' * i}" for i in range(200)])
    record = json.loads((target / "encoder.json").read_bytes())
    assert record == choice.as_record()
    return choice


def test_agreeing_export_is_kept(model: Path, tmp_path: Path) -> None:
    """An export that agrees serves, with its digest and cosine over 64 texts and the probes."""
    choice = served(model, tmp_path / "model", Backend(), None)
    assert choice.backend == "onnx"
    assert choice.min_cosine == pytest.approx(1.0, abs=1e-6)
    assert choice.onnx_sha256
    assert "over 70 texts" in choice.reason
    assert (tmp_path / "model/onnx/model.onnx").read_text() == "an export"


def test_differing_export_is_removed(model: Path, tmp_path: Path) -> None:
    """An export that is off by two degrees leaves the reference in charge, and says why."""
    choice = served(model, tmp_path / "model", Backend(angle=0.035), None)
    assert choice.backend == "reference"
    assert choice.min_cosine is not None
    assert 0.998 < choice.min_cosine < 0.9999
    assert "refused: least cosine with the reference 0.99" in choice.reason
    assert not (tmp_path / "model/onnx").exists()


def test_vectors_that_are_no_numbers_do_not_agree(model: Path, tmp_path: Path) -> None:
    """A comparison that comes out as NaN is no agreement."""
    choice = served(model, tmp_path / "model", Backend(angle=float("nan")), None)
    assert (choice.backend, choice.min_cosine) == ("reference", None)


def test_failing_export_leaves_the_reference(model: Path, tmp_path: Path) -> None:
    """A model that cannot be exported is served by the reference, and tried again next time."""
    backend = Backend(failure=ArtifactError("no ONNX form"))
    for run in ("one", "two"):
        choice = served(model, tmp_path / run, backend, tmp_path / "cache")
        assert (choice.backend, choice.reason) == ("reference", "no ONNX export: no ONNX form")
    assert backend.exports == 4, "each run tries both exporters"


@pytest.mark.parametrize(("angle", "chosen", "exports"), [(0.0, "onnx", 1), (0.1, "reference", 2)])
def test_second_run_takes_the_check_from_the_cache(
    model: Path, tmp_path: Path, angle: float, chosen: str, exports: int
) -> None:
    """The outcome of a check, good or bad, is not worked out twice for the same model."""
    backend = Backend(angle=angle)
    first = served(model, tmp_path / "one", backend, tmp_path / "cache")
    second = served(model, tmp_path / "two", backend, tmp_path / "cache")
    assert first == second
    assert (second.backend, backend.exports) == (chosen, exports)
    assert names(tmp_path / "one") == names(tmp_path / "two")


@pytest.mark.parametrize("damaged", ["model.onnx", "check.json"])
@pytest.mark.parametrize("content", [b"", b"other", b"[]", None])
def test_damaged_cache_is_made_again(
    model: Path, tmp_path: Path, damaged: str, content: bytes | None
) -> None:
    """A cached export that is not the one that was checked is exported anew and replaced."""
    backend, cache = Backend(), tmp_path / "cache"
    first = served(model, tmp_path / "one", backend, cache)
    entry = cache / f"{first.model_sha256}-fp32-2" / damaged
    if content is None:
        entry.unlink()
    else:
        entry.write_bytes(content)
    assert served(model, tmp_path / "two", backend, cache) == first
    assert served(model, tmp_path / "three", backend, cache) == first
    assert backend.exports == 2


def test_cache_that_cannot_be_used_costs_nothing(model: Path, tmp_path: Path) -> None:
    """A cache folder that is a file leaves the export in place all the same."""
    (tmp_path / "cache").write_text("in the way")
    choice = served(model, tmp_path / "model", Backend(), tmp_path / "cache")
    assert choice.backend == "onnx"
    assert (tmp_path / "cache").read_text() == "in the way"
