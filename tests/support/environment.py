"""The variables a user's deployment sets, which no test may inherit."""

from __future__ import annotations

LEGACY_SETTINGS = (
    "BASE_MODEL",
    "CANONICAL_FILE",
    "FEEDBACK_FILE",
    "MIN_ACCURACY",
    "ML_SERVICE_RELOAD_URL",
    "MODEL_STORE_BASE",
)
