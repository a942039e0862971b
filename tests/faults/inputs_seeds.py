"""Valid files of every kind that ``train`` reads, small, to be broken."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from training_service.domain.index_meta import IndexMeta
from training_service.domain.judgement import CurvePoint
from training_service.domain.records import Canonical, CanonicalEntry, FeedbackRow, IndexRow
from training_service.domain.snapshot import feedback_lines
from training_service.match.confidence import Confidence, Direction, Line
from training_service.match.parameters import MatcherParameters, PartWeights

WORDS = {
    "Software Engineer": ["SWE", "programmer"],
    "Registered Nurse": ["RN", "staff nurse"],
    "Bäcker": {"label": "Baker", "synonyms": ["bread maker", "面包师"], "description": "Bakes."},
}
CANONICAL = Canonical(
    entries=(
        CanonicalEntry("Bäcker", "Baker", ("Baker", "Bäcker", "bread maker")),
        CanonicalEntry("Registered Nurse", "Registered Nurse", ("Registered Nurse", "RN")),
        CanonicalEntry("Software Engineer", "Software Engineer", ("Software Engineer", "SWE")),
    ),
    source="c.json",
    sha256="0" * 64,
    id_kind="text",
    id_kind_reason="",
)
CANONICAL_SEEDS = (
    json.dumps(WORDS, ensure_ascii=False).encode(),
    json.dumps(WORDS, indent=2).encode(),
    b'{"11-1011.00": ["CEO"], "51-3011.00": ["Baker", "Cook"]}',
)
LINES_SEEDS = (
    (
        b'{"id": "swe", "label": "Software Engineer", "synonyms": ["SWE"]}\n'
        b'{"id": "rn", "synonyms": ["RN", "nurse"], "description": "Nurses."}\n'
    ),
    b'{"id": "a", "synonyms": ["b"]}',
)
FEEDBACK_SEEDS = (
    (
        b"query_key,matched_key,correct\n"
        b"sr. software eng,Software Engineer,yes\nnurse,Registered Nurse,no\n"
        b'"bake, er",B\xc3\xa4cker,1\n'
    ),
    (
        b"query_key,matched_key,correct,timestamp,reviewer\r\n"
        b"rn nights,Registered Nurse,True,2026-11-20T12:00:00Z,a\r\n"
        b"swe,Software Engineer,no,2026-11-20,b\r\n"
        b'"two\nlines",Software Engineer,yes,,c\r\n'
    ),
)
FEEDBACK_TOKENS = (
    b"yes",
    b" Yes ",
    b"maybe",
    b"0001-01-01T00:00:00+14:00",
    b"9999-12-31T23:59:59-14:00",
    b"2026-02-30",
    b"=cmd|'/c calc'!A0",
    b'"a',
    b'a"b"c',
    b";",
    b"|",
    b"x" * 140_000,
    b"query_key",
)
CONFIG_SEEDS = (
    b"min_accuracy: 0.8\nrecent_days: 30\nchroma: no\nbase_model: hashing:64\n",
    b"# all is well\ncanonical_file: 'c.json'\nindex_form: joined\nreload: x\n",
    b'{min_accuracy: 0.5, log_level: "debug", cache_dir: null}\n',
    b"base: &a x\nbase_model: *a\nml_service_reload_url: http://h:1/reload?token=s3cret\n",
)
ENVIRONMENT_NAMES = (
    "BASE_MODEL",
    "MIN_ACCURACY",
    "ML_SERVICE_RELOAD_URL",
    "CANONICAL_FILE",
    "MODEL_STORE_BASE",
    "TRAIN_RECENT_DAYS",
    "TRAIN_HOLDOUT_SHARE",
    "TRAIN_CHROMA",
    "TRAIN_LOG_LEVEL",
    "TRAIN_CACHE_DIR",
    "TRAIN_MIN_ACCURACY",
    "TRAIN_MIN_ACURACY",
    "TRAIN_",
    "TRAIN_É",
    "HOME",
    "XDG_CACHE_HOME",
)
ROWS = (
    IndexRow("baker", "Bäcker", "synonym"),
    IndexRow("swe", "SWE", "feedback"),
    IndexRow("swe", "Software Engineer", "synonym"),
)
META_SEED = IndexMeta.of(
    ROWS, {"baker": "Baker", "swe": "Software Engineer"}, dimension=8
).to_bytes()
CONFIDENCE = Confidence(
    sharpness=42.5,
    right=Line(-0.5, 1.25, 3.0),
    known=Line(-2.0, 6.0, 1.5),
    accept=0.7,
    reject=0.35,
    concepts={"baker": -0.5, "面包": 0.25},
    foreign=Direction((0.5, -1.25), 2.0),
)
PARAMETERS_SEED = json.dumps(
    MatcherParameters(
        PartWeights(0.4, 0.1, 0.2, 0.3),
        thresholds=None,
        confidence=CONFIDENCE,
        queries=60,
        curve=(CurvePoint(0.7, 0.5, 0.9),),
    ).to_json(),
    indent=1,
).encode()
DEFAULT_PARAMETERS_SEED = json.dumps(MatcherParameters().to_json(), indent=1).encode()
FIRST_PARAMETERS_SEED = json.dumps(
    {
        "schema_version": 1,
        "source": "calibrated",
        "weights": {"semantic_max": 0.5, "semantic_mean": 0.3, "lexical": 0.2},
        "thresholds": {
            "accept_score": None,
            "accept_margin": 0.1,
            "semantic": 0.3,
            "lexical": 0.05,
        },
        "queries": 321,
        "target_precision": 0.9,
        "curve": [{"score": 0.9, "coverage": 0.1, "precision": 1.0}],
    },
    indent=1,
).encode()
PARAMETERS_SEEDS = (PARAMETERS_SEED, DEFAULT_PARAMETERS_SEED, FIRST_PARAMETERS_SEED)
SNAPSHOT_SEED = feedback_lines(
    [
        FeedbackRow("sr. swe", "swe", True, datetime(2026, 11, 20, 12, 0, tzinfo=UTC)),
        FeedbackRow("bread", "baker", False),
        FeedbackRow("面包", "baker", True),
    ]
)
MANIFEST = {
    "version": "v20261120.2",
    "sequence": 2,
    "recipe": "semantic-index",
    "mode": "full-train",
    "run_id": "20261120T120000Z-abc123",
    "created_at": "2026-11-20T12:00:00+00:00",
    "fingerprint": "f" * 64,
    "parent": "v20261120",
    "base_model": {"name": "hashing:8", "sha256": "0" * 64},
    "inputs": {"canonical": {"sha256": "1" * 64, "entries": 2}},
    "settings": {"holdout_share": 0.25, "index_form": "synonyms"},
    "files": {"meta.json": {"size": 3, "sha256": "a" * 64}},
    "caches": {},
    "scorecard": {"verdict": "first", "reasons": ["none before"], "holdout": None},
    "schema_version": 1,
    "self_sha256": "2" * 64,
}
MANIFEST_SEED = json.dumps(MANIFEST, indent=1).encode()
PROMOTION_SEED = json.dumps(
    {
        "number": 1,
        "version": "v20261120.2",
        "sequence": 2,
        "previous": "v20261120",
        "kind": "passed",
        "reasons": ["top-1 0.91 is at least 0.80"],
        "run_id": "20261120T120000Z-abc123",
        "promoted_at": "2026-11-20T12:00:00+00:00",
        "manifest_sha256": "a" * 64,
        "metrics": {"holdout": {"top1": 0.91}},
        "schema_version": 1,
    }
).encode()
PENDING_SEED = json.dumps(
    {
        "version": "v20261120.2",
        "manifest_sha256": "a" * 64,
        "since": "2026-11-20T12:00:00+00:00",
        "attempts": 3,
        "detail": "refused the connection",
        "schema_version": 1,
    }
).encode()
ENCODER_SEED = json.dumps(
    {
        "schema_version": 1,
        "backend": "hashing",
        "min_cosine": 0.99999,
        "reason": "hashing encoder",
        "model_sha256": "a" * 64,
        "onnx_sha256": None,
    }
).encode()
VERSION_SEEDS = (b"v20261120", b"v20261120.2", b"v20240229.13")
RUN_ID_SEEDS = (b"20261120T120000Z-abc123", b"run-1", b"a.b_c")
URL_SEEDS = (
    b"http://ml-service:8000/reload",
    b"https://example.org/a/b?token=s3cret&x=1#part",
    b"http://[::1]:8000/",
    b"http://user:pass@host:80/",
)
NAME_TOKENS = (
    b"..",
    b"/",
    b"\\",
    b"%2e%2e%2f",
    "ｖ２０２５１２３１".encode(),
    "٣".encode(),
    b".0",
    b".1",
    b".02",
    b"99999",
    b" ",
    b"@",
    b"?",
    b"#",
    b":99999",
    b":0",
    b"://",
    b"file",
    b"[",
    b"]",
    b"%00",
)
