"""Every parser of foreign bytes: what it is fed, how it may refuse, what it may let through."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.faults import inputs_seeds as seeds
from tests.faults import inputs_sound as sound
from tests.faults.inputs_mutations import edited, json_values, made_up, mutated
from training_service.adapters.encoders.loading import read_choice
from training_service.adapters.http_exchange import parse_endpoint
from training_service.domain.index_meta import parse_meta
from training_service.domain.release import VersionId
from training_service.domain.snapshot import feedback_from_lines
from training_service.errors import ArtifactError, InputError, SafetyError, TrainError, UsageError
from training_service.ingest.canonical_loader import load_canonical
from training_service.ingest.feedback_processor import load_feedback
from training_service.match.parameters import parameters_from_json
from training_service.release import manifest as manifests
from training_service.release.durable import read_json
from training_service.release.notifier import pending
from training_service.release.promotions import PromotionLog
from training_service.release.staging import check_run_id
from training_service.settings_loading import load_settings

_LINE = r":\d+(:\d+)?$"


@dataclass(frozen=True)
class Parser:
    """One parser; ``place`` is what each refusal, or each fault of one, names."""

    name: str
    cases: st.SearchStrategy[Any]
    attempt: Callable[[Any, Path], object]
    check: Callable[[Any], None]
    refuses_with: tuple[type[TrainError], ...] = (ArtifactError,)
    place: str = ""


def _file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _manifest(data: bytes, folder: Path) -> object:
    path = _file(folder, "manifest.json", data)
    return manifests.from_json(read_json(path), str(path))


def _parameters(data: bytes, folder: Path) -> object:
    path = _file(folder, "thresholds.json", data)
    return parameters_from_json(read_json(path), str(path))


def _promotions(data: bytes, folder: Path) -> object:
    (folder / "promotions").mkdir(exist_ok=True)
    _file(folder / "promotions", "000001-v20261120.2.json", data)
    return PromotionLog(folder).read()


def _pending(data: bytes, folder: Path) -> object:
    _file(folder, "pending_reload.json", data)
    return pending(folder)


def _encoder(data: bytes, folder: Path) -> object:
    _file(folder, "encoder.json", data)
    return read_choice(folder)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _environment() -> st.SearchStrategy[dict[str, str]]:
    """Variables as a process can have them: no NUL, bytes that are no UTF-8 as surrogates."""
    tokens = [b"0.8", b"no", b"hashing:64", b"/tmp/x", b"~/x", b"http://h:1/x?t=1", b"1_000"]
    values = mutated(tokens).map(lambda data: _text(data.replace(b"\0", b"")))
    return st.dictionaries(st.sampled_from(seeds.ENVIRONMENT_NAMES), values, max_size=4)


def _json_file(seed: bytes, *tokens: bytes) -> st.SearchStrategy[bytes]:
    free = json_values().map(lambda value: json.dumps(value).encode())
    broken = mutated([seed], tokens)
    lines = seed.count(b"\n{") + 1
    return st.one_of(broken, edited(seed, lines), edited(seed, lines), free, made_up('{}[]",:0e '))


def _name(*given: bytes) -> st.SearchStrategy[bytes]:
    return st.one_of(mutated(given, seeds.NAME_TOKENS), made_up("v0123456789./\\%-"))


PARSERS = (
    Parser(
        "canonical json",
        st.one_of(mutated(seeds.CANONICAL_SEEDS), made_up('{}[]",:\\ab1 \n')),
        lambda data, folder: load_canonical(_file(folder, "c.json", data)),
        sound.canonical,
        (InputError,),
        r"c\.json" + _LINE,
    ),
    Parser(
        "canonical jsonl",
        st.one_of(mutated(seeds.LINES_SEEDS), made_up('{}[]",:\\id1 \n')),
        lambda data, folder: load_canonical(_file(folder, "c.jsonl", data)),
        sound.canonical,
        (InputError,),
        r"c\.jsonl" + _LINE,
    ),
    Parser(
        "feedback",
        st.one_of(
            mutated(seeds.FEEDBACK_SEEDS, seeds.FEEDBACK_TOKENS), made_up('",\r\n;\tquery_key')
        ),
        lambda data, folder: load_feedback(_file(folder, "f.csv", data), seeds.CANONICAL),
        sound.feedback,
        (InputError,),
        r"f\.csv" + _LINE,
    ),
    Parser(
        "config file",
        st.one_of(mutated(seeds.CONFIG_SEEDS), made_up("{}[]:,-?&*!|>'\"%@`#ab \n")),
        lambda data, folder: load_settings(
            {}, {}, _file(folder, "c.yaml", data).relative_to(folder), folder
        ),
        sound.settings,
        (UsageError,),
        r"^c\.yaml(:\d+.*)?$",
    ),
    Parser(
        "environment",
        _environment(),
        lambda variables, folder: load_settings({}, variables, cwd=folder),
        sound.settings,
        (UsageError,),
        r"^environment \S+$",
    ),
    Parser(
        "meta.json",
        _json_file(seeds.META_SEED),
        lambda data, _: parse_meta(data, "v1/meta.json"),
        sound.meta,
        place=r"v1/meta\.json",
    ),
    Parser(
        "manifest.json",
        _json_file(seeds.MANIFEST_SEED, *seeds.NAME_TOKENS),
        _manifest,
        sound.manifest,
        place=r"manifest\.json",
    ),
    Parser(
        "thresholds.json",
        st.one_of(*map(_json_file, seeds.PARAMETERS_SEEDS)),
        _parameters,
        sound.parameters,
        place=r"thresholds\.json",
    ),
    Parser(
        "snapshot",
        _json_file(seeds.SNAPSHOT_SEED),
        lambda data, _: feedback_from_lines(data, "v1/feedback.jsonl"),
        sound.snapshot,
        place=r"v1/feedback\.jsonl:\d+: ",
    ),
    Parser(
        "promotion record",
        _json_file(seeds.PROMOTION_SEED),
        _promotions,
        sound.promotions,
        place=r"000001-v20261120\.2\.json",
    ),
    Parser("pending reload", _json_file(seeds.PENDING_SEED), _pending, sound.pending_reload, ()),
    Parser(
        "encoder.json",
        _json_file(seeds.ENCODER_SEED),
        _encoder,
        lambda choice: sound.is_json(asdict(choice)),
        place=r"encoder\.json",
    ),
    Parser(
        "version name",
        _name(*seeds.VERSION_SEEDS),
        lambda data, _: (_text(data), VersionId.parse(_text(data))),
        sound.version,
        (),
    ),
    Parser(
        "run id",
        _name(*seeds.RUN_ID_SEEDS),
        lambda data, _: check_run_id(_text(data)),
        sound.run_id,
        (SafetyError,),
        "the run id ",
    ),
    Parser(
        "reload URL",
        st.one_of(_name(*seeds.URL_SEEDS), made_up("htps:/[]@.?#%1a")),
        lambda data, _: parse_endpoint(_text(data)),
        sound.endpoint,
        (UsageError,),
        "the reload URL ",
    ),
)
