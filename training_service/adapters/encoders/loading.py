"""A model folder to the encoder that its ``encoder.json`` names.

What computes is imported by who opens one: a run with nothing to do only asks for digests.
"""

from __future__ import annotations

from pathlib import Path

from training_service.domain.inert_files import MODULES_FILE, code_problem, module_faults
from training_service.domain.model import (
    ENCODER_FILE,
    HASHING_FILE,
    ONNX_FILE,
    EncoderChoice,
    Precision,
    Runtime,
)
from training_service.domain.plain_json import parse_plain
from training_service.errors import ArtifactError, Fault, SafetyError, shown
from training_service.ports import Encoder

_INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})


def open_encoder(model_dir: Path) -> Encoder:
    """The encoder of a model folder; torch is imported only where the reference serves.

    ``ArtifactError`` when the folder has no ``encoder.json`` or does not load, ``SafetyError``
    when something in it could run code: then nothing of it is opened.
    """
    _refuse_code(model_dir)
    choice = read_choice(model_dir)
    if choice.backend == "hashing":
        return _hashing(model_dir)
    if choice.backend == "onnx":
        return _served(model_dir, choice)
    return _reference(model_dir, choice)


def read_choice(model_dir: Path) -> EncoderChoice:
    """What ``encoder.json`` says; ``ArtifactError`` when it is missing or says nothing."""
    path = model_dir / ENCODER_FILE
    return EncoderChoice.from_record(_json(path), str(path))


def identity_of(model_dir: Path) -> str:
    """The identity that the encoder of a model folder would have; no model is loaded.

    Raises:
        ArtifactError: the folder does not say.
    """
    from training_service.adapters.encoders.sentence_transformer import reference_identity

    choice = read_choice(model_dir)
    if choice.backend == "hashing":
        return _hashing(model_dir).identity
    return choice.identity if choice.backend == "onnx" else reference_identity(choice.model_sha256)


class EncoderLoader:
    """The encoders of model folders, as the model manager asks for them."""

    def open(self, model_dir: Path) -> Encoder:
        """The encoder that ``encoder.json`` names."""
        return open_encoder(model_dir)

    def reference(self, model_dir: Path) -> Encoder:
        """The sentence-transformers encoder of the folder."""
        _refuse_code(model_dir)
        return _reference(model_dir, read_choice(model_dir))

    def fast(self, model_dir: Path) -> Encoder:
        """The encoder over the folder's fp32 ONNX export, whichever form serves."""
        _refuse_code(model_dir)
        exact = EncoderChoice("onnx", None, "", read_choice(model_dir).model_sha256)
        return _served(model_dir, exact)

    def export(self, model_dir: Path, target: Path, *, is_traced: bool) -> None:
        """Write the fp32 ONNX export of the folder's model to ``target``."""
        from training_service.adapters.encoders.sentence_transformer import export_onnx

        _refuse_code(model_dir)
        export_onnx(model_dir, target, is_traced=is_traced)

    def runtime(self, precision: Precision) -> Runtime:
        """ONNX Runtime, but for bf16, and for int8 where OpenVINO is measured to be faster."""
        from training_service.adapters.encoders import openvino

        if precision == "bf16":
            openvino.require_bf16()
            return "openvino"
        is_faster = precision == "int8" and openvino.is_installed() and adds_int8_products()
        return "openvino" if is_faster else "onnxruntime"

    def quantise(self, model_dir: Path, target: Path) -> None:
        """Write the int8 form of the folder's fp32 export to ``target``."""
        from training_service.adapters.encoders.quantising import quantise
        from training_service.adapters.encoders.tokenising import Tokenising

        _refuse_code(model_dir)
        quantise(model_dir / ONNX_FILE, target, Tokenising(model_dir))


def adds_int8_products(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies and adds 8-bit numbers in one step, where Linux tells."""
    try:
        words = set(cpu_info.read_text().split())
    except OSError:
        return False
    return bool(words & _INT8_FLAGS)


def _served(model_dir: Path, choice: EncoderChoice) -> Encoder:
    if choice.runtime == "onnxruntime":
        from training_service.adapters.encoders.onnx import onnx_encoder

        return onnx_encoder(model_dir, choice.served_file, choice.identity)
    from training_service.adapters.encoders.openvino import openvino_encoder, require_bf16

    if choice.precision == "bf16":
        require_bf16()
    hint = "bf16" if choice.precision == "bf16" else "f32"
    return openvino_encoder(model_dir, choice.served_file, choice.identity, hint)


def _refuse_code(model_dir: Path) -> None:
    names = (path.relative_to(model_dir).as_posix() for path in sorted(model_dir.rglob("*")))
    problems = ((name, code_problem(name)) for name in names)
    faults = [Fault(name, problem) for name, problem in problems if problem]
    path = model_dir / MODULES_FILE
    try:
        faults += module_faults(path.read_bytes()) if path.exists() else []
    except (OSError, ValueError) as error:
        faults.append(Fault(MODULES_FILE, shown(str(error))))
    if faults:
        message = f"the model {model_dir} is refused, nothing of it was opened"
        raise SafetyError(message, hint="build the version again", faults=faults)


def _reference(model_dir: Path, choice: EncoderChoice) -> Encoder:
    from training_service.adapters.encoders.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(model_dir, choice.model_sha256)


def _hashing(model_dir: Path) -> Encoder:
    from training_service.adapters.encoders.hashing import HashingEncoder

    record = _json(model_dir / HASHING_FILE)
    dimension = record.get("dimension") if isinstance(record, dict) else None
    if type(dimension) is not int or dimension < 2:
        message = f"{model_dir / HASHING_FILE}: found {shown(record)}, expected a dimension"
        raise ArtifactError(message, hint="build the version again")
    return HashingEncoder(dimension)


def _json(path: Path) -> object:
    try:
        found: object = parse_plain(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"{path}: unreadable ({shown(str(error))})"
        raise ArtifactError(message, hint="build the version again") from error
    return found
