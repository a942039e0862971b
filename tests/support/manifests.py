"""A manifest that was edited is made to agree with itself again, as an attacker would."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from training_service.release.durable import json_bytes
from training_service.release.manifest import SELF_DIGEST


def write_sealed(path: Path, manifest: dict[str, Any]) -> None:
    """Write ``manifest`` with the right digest of itself, spelled as the product spells it."""
    rest = {name: value for name, value in manifest.items() if name != SELF_DIGEST}
    digest = hashlib.sha256(json_bytes(rest)).hexdigest()
    path.write_bytes(json_bytes({**rest, SELF_DIGEST: digest}))
