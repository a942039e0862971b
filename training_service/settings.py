"""Every setting of a run, with its type, range, default and meaning, in one frozen class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from training_service.domain import webhook_secret

# A plugin would see every value, secrets too; looking for one takes 10 ms of each start.
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    _ = parts.port  # raises ValueError for a port that is none
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError
    if any(c.isspace() for c in url):
        raise ValueError
    return url


def _checked_secret(secret: SecretStr) -> SecretStr:
    webhook_secret.signing_keys(secret.get_secret_value())
    return secret


_URL = "an http or https URL with a host and without user name, or empty for none"
ReloadUrl = Annotated[str, AfterValidator(_checked_url)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_checked_secret)]


def _switched(value: object) -> object:
    """``auto``, ``on`` or ``off``; the words that settings files have for yes and no as well."""
    word = str(value).strip().casefold()
    return next((name for name, words in _SWITCH_WORDS.items() if word in words), value)


_SWITCH_WORDS = {
    "auto": ("auto",),
    "on": ("on", "yes", "y", "true", "t", "1"),
    "off": ("off", "no", "n", "false", "f", "0"),
}
Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_switched)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


def _seconds(value: object) -> object:
    """``90s``, ``10m`` or ``1h`` as seconds; anything else as it is."""
    text = str(value).strip()
    unit = _UNITS.get(text[-1:].casefold())
    try:
        return value if unit is None else float(text[:-1]) * unit
    except ValueError:
        return value


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)]


class TrainingConfig(BaseSettings):
    """Every setting of a run; ``load_settings``, which builds it, knows where values come from.

    Paths are absolute when they come from ``load_settings``.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    canonical_file: Path = Field(
        Path("canonical/canonical.json"), description="The canonical data: JSON or JSONL."
    )
    feedback_file: Path = Field(
        Path("feedback/feedback.csv"),
        description="The reviewers' answers: CSV. A missing file means no feedback.",
    )
    cases: Path | None = Field(
        Path("configs/cases.yaml"),
        description="Cases that must hold: YAML. The default file may be missing; empty for none.",
        json_schema_extra={"expected": "a path, or empty for none"},
    )
    feedback_policy: Literal["latest", "votes"] = Field(
        "latest",
        description="Which of several answers counts: the latest, or that of more reviewers.",
    )
    max_reviewer_share: Share = Field(
        0.8, description="It is told when one reviewer gave more than this share of the answers."
    )
    no_concept_word: str = Field(
        "(none)",
        min_length=1,
        description="What matched_key says, besides nothing, when no concept fits.",
        json_schema_extra={"expected": "a text that is not empty"},
    )
    model_store_base: Path = Field(
        Path("model_store"), description="The folder of versions, `latest` and run journals."
    )
    base_model: str = Field(
        "all-MiniLM-L6-v2",
        min_length=1,
        description="The sentence model to start from: a folder, a packaged model or a hub id.",
        json_schema_extra={"expected": "a folder, a packaged model or a hub id"},
    )
    recipe: Literal["semantic-index"] = Field(
        "semantic-index", description="Which system is trained."
    )
    min_accuracy: Share = Field(
        0.8, description="A version below this top-1 accuracy on unseen queries is not promoted."
    )
    max_regression: Share = Field(
        0.02, description="How much top-1 may fall below the champion's and still be promoted."
    )
    holdout_share: float = Field(
        0.25,
        gt=0,
        le=0.5,
        allow_inf_nan=False,
        description="Share of the labelled queries kept unseen for the verdict.",
    )
    min_holdout_queries: Count = Field(
        50, description="Fewer unseen queries than this decide nothing."
    )
    recent_days: Count = Field(
        30, description="Age in days up to which feedback counts as recent."
    )
    calibration_folds: int = Field(
        5,
        ge=2,
        le=20,
        description="Parts in which feedback is split to fit weights on unseen rows.",
    )
    min_calibration_queries: Count = Field(
        50, description="With fewer labelled queries the documented default thresholds are used."
    )
    learn: Literal["pooled", "head", "deep"] = Field(
        "head", description="The richest learner that is tried; it ships only if it is better."
    )
    learn_budget: Seconds = Field(
        600.0,
        description="Learners that would take longer than this are not tried: 600, 90s, 10m, 1h.",
        json_schema_extra={"expected": "a time such as 90s, 10m or 1h"},
    )
    relearn_share: Share = Field(
        0.02,
        description="More change of rows or answers than this has learners fitted anew.",
    )
    target_precision: float = Field(
        0.95,
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="The precision that `accept` must reach in calibration.",
    )
    max_unknown_key_share: Share = Field(
        0.5, description="Feedback is refused when more than this share names unknown concepts."
    )
    id_kind: Literal["auto", "text", "code"] = Field(
        "auto", description="Whether canonical ids are text to match or mere codes; auto looks."
    )
    index_form: Literal["synonyms", "joined", "merged"] = Field(
        "synonyms",
        description="One vector per synonym, one per concept, or one with its feedback merged in.",
    )
    chroma: Switch = Field(
        "auto",
        description="Also write a Chroma collection; auto does so up to 200,000 rows.",
        json_schema_extra={"expected": "auto, on or off"},
    )
    index_type: Literal["auto", "exact", "pq", "hnsw", "ivf"] = Field(
        "auto", description="The FAISS index; auto is exact while exact is fast, then quantised."
    )
    encoder: Literal["auto", "onnx", "reference"] = Field(
        "auto", description="What computes vectors; auto takes ONNX once checked against torch."
    )
    encoder_precision: Literal["fp32", "bf16", "int8"] = Field(
        "fp32", description="What vectors are computed in; less than fp32 must prove itself."
    )
    engine: Literal["local", "ray"] = Field(
        "local", description="Where texts are encoded: in this process, or on a Ray cluster."
    )
    ray_address: str | None = Field(
        None,
        description="The Ray cluster to join; empty starts one on this machine for the run.",
        json_schema_extra={"expected": "an address that Ray takes, or empty for none"},
    )
    ray_shared_dir: Path | None = Field(
        None,
        description="A folder that all machines at ray_address reach, for rows of large indexes.",
        json_schema_extra={"expected": "a path, or empty for none"},
    )
    cache_dir: Path | None = Field(
        None,
        description="Where vectors are cached between runs; empty for no cache.",
        json_schema_extra={
            "expected": "a path, or empty for none",
            "default": "$XDG_CACHE_HOME/training-service, else ~/.cache/training-service",
        },
    )
    cache_max_bytes: Count = Field(
        20 << 30,
        description="Runs remove the vectors longest unused when the cache is larger than this.",
    )
    keep_versions: Count | None = Field(
        5,
        description="Runs that build remove older versions than this many; empty for never.",
        json_schema_extra={"expected": "a whole number of at least 1, or empty for none"},
    )
    keep_hours: float = Field(
        24,
        ge=0,
        allow_inf_nan=False,
        description="A version stays this long after it was made or last went out of service.",
    )
    ml_service_reload_url: ReloadUrl | None = Field(
        "http://ml-service:8000/reload",
        description="Where a promotion is announced by POST; empty to announce nothing.",
        json_schema_extra={"expected": _URL},
    )
    reload_secret: WebhookSecret | None = Field(
        None,
        description="What that POST is signed with; two while one replaces the other.",
        json_schema_extra={
            "expected": f"{webhook_secret.EXPECTED}; empty for none",
            "default": "none",
        },
    )
    require_reload: bool = Field(
        default=False,
        description="A promotion that the service does not confirm ends with exit code 3.",
    )
    rollback_on_reload_failure: bool = Field(
        default=False,
        description="A version that the service refuses goes out of service at once.",
    )
    max_input_bytes: Count = Field(
        1 << 30, description="A larger canonical or feedback file is refused before it is read."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least important log event that is written."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="Log lines for people or JSON lines; auto takes JSON with --json."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values only from the constructor: ``load_settings`` reads the sources itself."""
        return (init_settings,)
