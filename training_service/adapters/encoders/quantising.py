"""An fp32 ONNX file becomes one whose products are of 8-bit numbers, scaled beforehand.

Each activation has one scale for all texts, found on ``calibration_texts``: a scale taken from the
batch at hand (dynamic quantisation) would let a vector depend on its neighbours in the batch.
Before that, large channels of an activation hand part of their size to the weights (Xiao et al.
2022, "SmoothQuant"). Weights take 7 of their 8 bits: a processor without VNNI adds two products in
16 bits, and with 7 no sum is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.onnx import model_inputs, onnx_runtime
from training_service.adapters.encoders.token_batches import TokenBatches
from training_service.adapters.encoders.tokenising import Tokenising
from training_service.errors import ArtifactError, DependencyError

if TYPE_CHECKING:
    import onnx

_SMOOTHING = 0.6
_WEIGHT_LIMIT = 63
_ACTIVATION_STEPS = 255
_TINY = 1e-5
_CALIBRATION_TEXTS = 400
_MOST_WORDS = 10

_Floats = npt.NDArray[np.float32]


def quantise(source: Path, target: Path, tokenising: Tokenising) -> None:
    """Write the int8 form of the file ``source`` to ``target``; it depends on the model alone.

    ``DependencyError`` without the package onnx, ``ArtifactError`` for a graph without products
    of an activation and weights.
    """
    try:
        import onnx
    except ImportError as error:
        message = f"the package onnx is not installed ({error.name})"
        raise DependencyError(message, hint="install the package with its extra: train") from error
    model = onnx.load(source)
    products = _Products(model)
    if not products.by_activation:
        message = f"{source}: has no products of an activation and weights"
        raise ArtifactError(message, hint="set ENCODER_PRECISION=fp32")
    ranges = _ranges(model, list(products.by_activation), tokenising)
    for activation in products.by_activation:
        products.quantise(activation, *ranges[activation])
    products.close()
    onnx.save(model, target)


def calibration_texts(words: Sequence[str]) -> list[str]:
    """Texts of one to ten of ``words``, the same for the same words."""
    known = sorted({word for word in words if word.isalpha()}) or sorted(words)
    texts = []
    for number in range(_CALIBRATION_TEXTS):
        drawn = np.frombuffer(blake2b(str(number).encode()).digest(), dtype="<u4")
        count = 1 + number % _MOST_WORDS
        texts.append(" ".join(known[int(each) % len(known)] for each in drawn[:count]))
    return texts


class _Products:
    """The MatMul nodes of a graph whose second factor is a weight, by their activation."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._weights = {each.name: each for each in model.graph.initializer}
        self._before: dict[str, list[Any]] = {}
        self.by_activation: dict[str, list[Any]] = {}
        for node in model.graph.node:
            if node.op_type == "MatMul" and node.input[1] in self._weights:
                self.by_activation.setdefault(node.input[0], []).append(node)

    def quantise(self, activation: str, low: _Floats, high: _Floats) -> None:
        """Compute the products of ``activation``, of that range per channel (k,), in 8 bits."""
        nodes = self.by_activation[activation]
        weights = {node.input[1]: self._array(node.input[1]) for node in nodes}
        size = np.max([np.abs(weight).max(axis=1) for weight in weights.values()], axis=0)
        reach = np.maximum(np.maximum(-low, high), _TINY)
        smooth = (reach**_SMOOTHING / np.maximum(size, _TINY) ** (1 - _SMOOTHING)).astype("f4")
        scaled = self._activation(activation, smooth, (low / smooth).min(), (high / smooth).max())
        for name, weight in weights.items():
            self._weight(name, weight * smooth[:, None])
        for node in nodes:
            node.input[0], node.input[1] = scaled, f"{node.input[1]}/int8/back"

    def close(self) -> None:
        """Put the new nodes before the first product that needs them, and drop the old weights."""
        graph = self._graph
        nodes = []
        for node in graph.node:
            for name in node.input:
                nodes += self._before.pop(name, [])
            nodes.append(node)
        del graph.node[:]
        graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [each for each in graph.initializer if each.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)

    def _activation(self, name: str, smooth: _Floats, low: float, high: float) -> str:
        """Smoothed, to unsigned 8 bits and back; the name of what comes out."""
        bottom, top = min(float(low), 0.0), max(float(high), 0.0)
        step = max((top - bottom) / _ACTIVATION_STEPS, _TINY / _ACTIVATION_STEPS)
        zero = np.array(round(-bottom / step), dtype=np.uint8)
        divided = f"{name}/smooth"
        self._add(f"{divided}/by", (1 / smooth).astype("f4"))
        return self._there_and_back(
            divided,
            (np.array(step, dtype="f4"), zero),
            [("Mul", [name, f"{divided}/by"], divided)],
        )

    def _there_and_back(
        self, name: str, how: tuple[npt.NDArray[Any], npt.NDArray[Any]], first: list[Any]
    ) -> str:
        from onnx import helper

        scale, zero, coded, back = (f"{name}/{each}" for each in ("scale", "zero", "code", "back"))
        self._add(scale, how[0])
        self._add(zero, how[1])
        steps = [
            *first,
            ("QuantizeLinear", [name, scale, zero], coded),
            ("DequantizeLinear", [coded, scale, zero], back),
        ]
        self._before[back] = [helper.make_node(op, given, [out]) for op, given, out in steps]
        return back

    def _weight(self, name: str, weight: _Floats) -> None:
        """Signed 8-bit weights with a scale for each column, and the node that scales them."""
        from onnx import helper

        coded, scale, zero, back = (f"{name}/int8{x}" for x in ("", "/scale", "/zero", "/back"))
        steps = np.maximum(np.abs(weight).max(axis=0), _TINY) / _WEIGHT_LIMIT
        self._add(coded, np.rint(weight / steps).astype(np.int8))
        self._add(scale, steps.astype("f4"))
        self._add(zero, np.zeros(len(steps), dtype=np.int8))
        self._before[back] = [
            helper.make_node("DequantizeLinear", [coded, scale, zero], [back], axis=1)
        ]

    def _array(self, name: str) -> _Floats:
        from onnx import numpy_helper

        return np.asarray(numpy_helper.to_array(self._weights[name]), dtype=np.float32)

    def _add(self, name: str, array: npt.NDArray[Any]) -> None:
        from onnx import numpy_helper

        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))


def _ranges(
    model: onnx.ModelProto, names: list[str], tokenising: Tokenising
) -> dict[str, tuple[_Floats, _Floats]]:
    """The least and the largest value of each channel of each activation in calibration."""
    ranges: dict[str, tuple[_Floats, _Floats]] = {}
    for values in _observed(model, names, tokenising):
        for name, value in zip(names, values, strict=True):
            rows = value.reshape(-1, value.shape[-1])
            low, high = rows.min(axis=0), rows.max(axis=0)
            if name in ranges:
                low, high = np.minimum(low, ranges[name][0]), np.maximum(high, ranges[name][1])
            ranges[name] = (low, high)
    return ranges


def _observed(
    model: onnx.ModelProto, names: list[str], tokenising: Tokenising
) -> Iterator[list[_Floats]]:
    import onnx

    told = onnx.ModelProto()
    told.CopyFrom(model)
    outputs = [onnx.helper.make_tensor_value_info(x, onnx.TensorProto.FLOAT, None) for x in names]
    told.graph.output.extend(outputs)
    session = onnx_runtime().InferenceSession(
        told.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    asked = {each.name for each in session.get_inputs()}
    for batch in TokenBatches(tokenising, calibration_texts(tokenising.words())):
        features = {name: x for name, x in model_inputs(batch.ids).items() if name in asked}
        yield session.run(names, features)
