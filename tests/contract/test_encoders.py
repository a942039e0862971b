"""Every encoder keeps the promises of the Encoder port, with numbers."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.cli import ROOT
from training_service.adapters.encoders.cache import CachedEncoder
from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.adapters.encoders.loading import EncoderLoader, open_encoder, read_choice
from training_service.adapters.encoders.openvino import capabilities, openvino_encoder
from training_service.domain.digest import file_sha256
from training_service.domain.model import INT8_FILE, ONNX_FILE, Runtime
from training_service.errors import DependencyError
from training_service.ports import Encoder

TEXTS = ["software engineer", "Senior Software Engineer", "registered nurse", "x", "日本語"]
HARD = [
    *TEXTS,
    "",
    " ",
    "\t\n",
    "-",
    "…",
    "a" * 400,
    "word " * 700,
    "plan, direct and coordinate " * 60,
    "Señor développeur à Zürich",
    "naïve façade",
    "Ünïcödé ÜBER-MÄSSIG",
    "програміст",
    "مهندس برمجيات",
    "👩‍💻 engineer",
    "C++/C# (.NET) dev.",
    "R&D",
    "e\u0301cole",
    "\u200bzero width",
    "null\x00byte",
    "ＦＵＬＬ ＷＩＤＴＨ",
    "12-3456.00",
    "sr. sw eng. ii",
    "[MASK] [PAD] [CLS]",
    "##ing",
    "Chief Information Security Officer (CISO)",
]
MEANING = ["hashing", "cached", "minilm-onnx", "minilm-reference", "minilm-int8"]
KINDS = [*MEANING, "tiny-onnx", "tiny-reference", "tiny-int8"]


def in_int8(source: Path, target: Path, runtime: Runtime) -> Encoder:
    """The int8 form of a served model, in a folder of its own that holds nothing else to run."""
    shutil.copytree(source, target)
    choice = read_choice(source)
    EncoderLoader().quantise(target, target / INT8_FILE)
    (target / "onnx/model.onnx").unlink()
    int8 = replace(
        choice, precision="int8", runtime=runtime, onnx_sha256=file_sha256(target / INT8_FILE)
    )
    (target / "encoder.json").write_text(json.dumps(int8.as_record()))
    return open_encoder(target)


@pytest.fixture(scope="module")
def encoder_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Encoder]:
    """Each encoder by name, built once."""
    built: dict[str, Encoder] = {}

    def build(kind: str) -> Encoder:
        if kind == "hashing":
            return HashingEncoder()
        if kind == "cached":
            return CachedEncoder(HashingEncoder(64), tmp_path_factory.mktemp("cache"))
        folder = request.getfixturevalue(f"{kind.split('-', maxsplit=1)[0]}_dir")
        loader = EncoderLoader()
        if kind.endswith("int8"):
            return in_int8(folder, tmp_path_factory.mktemp("int8") / "model", "onnxruntime")
        return loader.fast(folder) if kind.endswith("onnx") else loader.reference(folder)

    def get(kind: str) -> Encoder:
        if kind not in built:
            built[kind] = build(kind)
        return built[kind]

    return get


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_unit_rows_in_order(kind: str, encoder_of: Callable[[str], Encoder]) -> None:
    """Each text gets one float32 unit vector, in the order asked, whatever stands beside it."""
    encoder = encoder_of(kind)
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dimension)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert np.allclose(encoder.encode(TEXTS[::-1]), vectors[::-1], atol=1e-5)
    assert np.allclose(encoder.encode(TEXTS[2:3])[0], vectors[2], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_texts_get_equal_vectors(kind: str, encoder_of: Callable[[str], Encoder]) -> None:
    """A text asked for three times gives the very same vector three times."""
    vectors = encoder_of(kind).encode(["nurse", "driver", "nurse", "a nurse", "nurse"])
    assert np.array_equal(vectors[0], vectors[2])
    assert np.array_equal(vectors[0], vectors[4])
    assert not np.allclose(vectors[0], vectors[1], atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_no_texts_give_no_rows(kind: str, encoder_of: Callable[[str], Encoder]) -> None:
    """An empty request gives a matrix of no rows and the full width."""
    encoder = encoder_of(kind)
    assert encoder.encode([]).shape == (0, encoder.dimension)


@pytest.mark.parametrize("kind", KINDS)
def test_progress_adds_up(kind: str, encoder_of: Callable[[str], Encoder]) -> None:
    """Progress reports sum to the number of texts asked for, repeated ones included."""
    told: list[int] = []
    encoder_of(kind).encode([*TEXTS, *TEXTS, "one more for progress"], told.append)
    assert sum(told) == 2 * len(TEXTS) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_hard_texts_get_unit_vectors(kind: str, encoder_of: Callable[[str], Encoder]) -> None:
    """Empty, long, foreign and odd texts all get a finite unit vector."""
    vectors = encoder_of(kind).encode(HARD)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_told(kind: str, encoder_of: Callable[[str], Encoder]) -> None:
    """English words are read by all, and each text has its share in order; none gives none."""
    encoder = encoder_of(kind)
    assert encoder.unread([]) == []
    assert encoder.unread(["night nurse", "software engineer"]) == [0.0, 0.0]
    assert all(
        0 <= share <= 1 for share in encoder.unread(["night 看護師", "", "\u26bd", "nurse"])
    )


@pytest.mark.parametrize("kind", [kind for kind in MEANING if kind.startswith("minilm")])
def test_a_script_that_is_not_read_is_told(
    kind: str, encoder_of: Callable[[str], Encoder]
) -> None:
    """Of a ball nothing is read; of four signs two are not; and the nurse beside one is."""
    ball, cheap, nurse = encoder_of(kind).unread(["\u26bd", "安い時計", "nurse \u26bd"])
    assert (ball, cheap, nurse) == (1.0, 0.5, 0.5)


@pytest.mark.parametrize("kind", MEANING)
def test_similar_texts_are_nearer(kind: str, encoder_of: Callable[[str], Encoder]) -> None:
    """A longer spelling of a title is nearer to it than another profession, by a clear margin."""
    engineer, senior, nurse = encoder_of(kind).encode(TEXTS[:3])
    assert engineer @ senior > engineer @ nurse + 0.2


@pytest.mark.parametrize("model", ["tiny", "minilm"])
def test_onnx_agrees_with_the_reference(model: str, encoder_of: Callable[[str], Encoder]) -> None:
    """The export's vectors equal sentence-transformers' on 30 texts: cosine at least 0.9999."""
    fast, reference = encoder_of(f"{model}-onnx"), encoder_of(f"{model}-reference")
    assert len(HARD) == 30
    cosines = (fast.encode(HARD) * reference.encode(HARD)).sum(axis=1)
    assert cosines.min() >= 0.9999, HARD[int(cosines.argmin())]
    assert fast.identity != reference.identity
    assert fast.identity.split(":")[0] == reference.identity.split(":")[0]


def test_int8_stays_near_and_tells_itself_apart(encoder_of: Callable[[str], Encoder]) -> None:
    """The int8 form of MiniLM keeps a mean cosine of 0.99 with fp32, under another identity."""
    exact, int8 = encoder_of("minilm-onnx"), encoder_of("minilm-int8")
    titles = [
        f"{rank} {job}" for rank in ("junior", "chief") for job in ("nurse", "pilot", "cook")
    ]
    cosines = (exact.encode(titles) * int8.encode(titles)).sum(axis=1)
    assert 0.99 < cosines.mean() < 0.9999
    assert exact.identity.endswith(":fp32:onnxruntime")
    assert ":int8:onnxruntime:" in int8.identity


def test_openvino_runs_the_files_too(
    minilm_dir: Path, tmp_path: Path, encoder_of: Callable[[str], Encoder]
) -> None:
    """OpenVINO gives the vectors of the fp32 file to 0.9999, those of the int8 file to 0.99."""
    pytest.importorskip("openvino", reason="needs the extra: openvino")
    fp32 = openvino_encoder(minilm_dir, ONNX_FILE, "x", "f32").encode(TEXTS)
    assert (fp32 * encoder_of("minilm-onnx").encode(TEXTS)).sum(axis=1).min() >= 0.9999
    int8 = in_int8(minilm_dir, tmp_path / "model", "openvino").encode(TEXTS)
    assert (int8 * encoder_of("minilm-int8").encode(TEXTS)).sum(axis=1).min() >= 0.99


def test_bf16_is_refused_where_the_processor_has_none(minilm_dir: Path, tmp_path: Path) -> None:
    """A bf16 version gives bf16 vectors or none: without the means, one error says what to do."""
    pytest.importorskip("openvino", reason="needs the extra: openvino")
    shutil.copytree(minilm_dir, tmp_path / "model")
    choice = replace(read_choice(minilm_dir), precision="bf16", runtime="openvino")
    (tmp_path / "model/encoder.json").write_text(json.dumps(choice.as_record()))
    if "BF16" in capabilities():
        vectors = open_encoder(tmp_path / "model").encode(TEXTS)
        exact = open_encoder(minilm_dir).encode(TEXTS)
        assert (vectors * exact).sum(axis=1).min() >= 0.999
        return
    with pytest.raises(DependencyError, match="not BF16; set ENCODER_PRECISION=fp32"):
        open_encoder(tmp_path / "model")
    with pytest.raises(DependencyError, match="not BF16; set ENCODER_PRECISION=fp32"):
        EncoderLoader().runtime("bf16")


@pytest.mark.parametrize("kind", ["minilm-onnx", "minilm-int8"])
def test_onnx_vectors_do_not_depend_on_their_batch(
    kind: str, encoder_of: Callable[[str], Encoder]
) -> None:
    """The same text gives the same bits alone, and among many of its length."""
    encoder = encoder_of(kind)
    many = [f"engineer {chr(97 + i % 26)}" for i in range(300)]
    together = encoder.encode(many)
    assert np.array_equal(encoder.encode(many[7:8])[0], together[7])


def test_serving_an_export_imports_no_torch(minilm_dir: Path) -> None:
    """A fresh process opens the export and encodes without torch, transformers or the hub."""
    code = (
        "import sys; from pathlib import Path\n"
        "from training_service.adapters.encoders.loading import open_encoder\n"
        f"assert open_encoder(Path({str(minilm_dir)!r})).encode(['a']).shape == (1, 384)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'huggingface_hub'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_cached_export_is_taken_without_torch(
    minilm_dir: Path, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """A model folder is made ready and quantised in a process that imports nothing of training."""
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.support.models import served_model\n"
        "target, cache = map(Path, sys.argv[1:])\n"
        "assert served_model('all-MiniLM-L6-v2', target, cache).backend == 'onnx'\n"
        "from training_service.adapters.encoders.loading import EncoderLoader\n"
        "EncoderLoader().quantise(target, target / 'onnx/model_int8.onnx')\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'chromadb', 'pandas'}\n"
        "heavy |= {'sklearn', 'onnxscript'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    assert read_choice(minilm_dir).backend == "onnx"
    cache = pytestconfig.cache.mkdir("exports")
    command = [sys.executable, "-c", code, str(tmp_path / "model"), str(cache)]
    subprocess.run(command, check=True, cwd=ROOT)


def test_onnx_leaves_nothing_in_the_home_folder(minilm_dir: Path, tmp_path: Path) -> None:
    """ONNX Runtime keeps no id of this machine and no log of models to be sent to its makers."""
    program = (
        "import sys; from pathlib import Path;"
        "from training_service.adapters.encoders.loading import open_encoder;"
        "print(open_encoder(Path(sys.argv[1])).encode(['nurse']).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(minilm_dir)],
        env={"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == "(1, 384)"
    assert list(tmp_path.rglob("*")) == []
