"""Settings become the recipe, its tools and the orchestrator that runs it."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from training_service.adapters.clock import SystemClock
from training_service.errors import StorageError, UsageError
from training_service.wiring import (
    automatic_pruning,
    reload_hook,
    service_change,
    store_lock,
    version_manager,
)

if TYPE_CHECKING:
    from training_service.adapters.encoders.cache import VectorMemory
    from training_service.adapters.encoders.cache_folder import Kind
    from training_service.adapters.encoders.cache_pruning import CacheFolder
    from training_service.adapters.ray_process import RayProcess
    from training_service.domain.evidence import Evidence
    from training_service.fit.index_choice import IndexKinds
    from training_service.fit.model_manager import ModelManager
    from training_service.fit.tuning import Tuner
    from training_service.orchestrator import TrainingOrchestrator
    from training_service.ports import ProgressBars
    from training_service.recipes.semantic_build import Fill, SemanticBuild
    from training_service.recipes.semantic_index import SemanticIndex
    from training_service.recipes.semantic_inputs import Inputs
    from training_service.release.manifest import Draft
    from training_service.settings import TrainingConfig

VECTORS_FOLDER = "vectors"
EXPORTS_FOLDER = "exports"
BLOCKS_FOLDER = "ray-blocks"


def orchestrator(
    config: TrainingConfig, progress: ProgressBars | None = None
) -> TrainingOrchestrator[Inputs]:
    """The orchestrator of the configured recipe and store."""
    from training_service.adapters.account import account
    from training_service.adapters.version_probe import VersionProcess
    from training_service.judge.evaluation_gate import GatePolicy
    from training_service.orchestrator import ReleaseTools, TrainingOrchestrator
    from training_service.ports import no_progress_bars

    make = {"semantic-index": semantic_index}[config.recipe]
    policy = GatePolicy(
        min_accuracy=config.min_accuracy,
        min_queries=config.min_holdout_queries,
        max_regression=config.max_regression,
    )
    versions = version_manager(
        config.model_store_base, f"full-train as {account()}"
    )  # the mode that promotes
    release = ReleaseTools(
        versions,
        partial(store_lock, config),
        service_change(config, versions, hook := reload_hook(config)),
        hook,
        VersionProcess(),
        automatic_pruning(config, versions),
        _write_pages,
    )
    recipe = make(config, progress or no_progress_bars)
    return TrainingOrchestrator(recipe, release, policy, SystemClock())


def semantic_index(config: TrainingConfig, progress: ProgressBars) -> SemanticIndex:
    """The recipe ``semantic-index`` with real models, indexes and caches."""
    from training_service.adapters.encoders.loading import EncoderLoader
    from training_service.adapters.model_sources import ModelSources
    from training_service.fit.model_manager import ModelManager
    from training_service.recipes.semantic_index import SemanticIndex
    from training_service.recipes.semantic_inputs import SemanticIndexOptions
    from training_service.release.linking import duplicate_file

    exports = config.cache_dir / EXPORTS_FOLDER if config.cache_dir else None
    options = SemanticIndexOptions(
        **{name: getattr(config, name) for name in SemanticIndexOptions.names()}
    )
    models = ModelManager(ModelSources(), EncoderLoader(), exports, duplicate_file)
    # What a setting needs and is not there is refused now, before anything is read or written.
    tuner, fill = _tuner(config), _filling(config)
    make = partial(_build, config, progress, models, tuner, fill)
    return SemanticIndex(options, models, make)


def _build(
    config: TrainingConfig,
    progress: ProgressBars,
    models: ModelManager,
    tuner: Tuner | None,
    fill: Fill | None,
) -> SemanticBuild:
    """What builds, and imports what a run with nothing to do is spared."""
    from training_service.adapters.chroma_process import ChromaProcess
    from training_service.adapters.faiss_index import FaissIndex
    from training_service.adapters.matcher_files import VersionMatcherFiles
    from training_service.fit.collection_builder import CollectionBuilder
    from training_service.fit.index_builder import IndexBuilder
    from training_service.fit.index_choice import IndexesByRule
    from training_service.recipes.semantic_build import SemanticBuild, Tools
    from training_service.release.durable import write_bytes

    remember = _cached(config.cache_dir)
    by_rule = IndexesByRule(index_kinds(config), config.index_type)
    tools = Tools(
        models=models,
        tuner=tuner,
        index_builder=IndexBuilder(by_rule, write_bytes),
        collections=CollectionBuilder(ChromaProcess(), FaissIndex),
        matcher_files=VersionMatcherFiles(remember),
        remember=remember,
        fill=fill,
        trim_cache=partial(_trim_cache, config, remember),
        known_texts=partial(_known_texts, config.cache_dir),
        clock=SystemClock(),
        progress=progress,
    )
    return SemanticBuild(tools)


def _write_pages(staging: Path, draft: Draft, evidence: Evidence | None) -> None:
    """Render what people read of a build; imported where something was built."""
    from training_service.adapters.version_pages import write_pages

    write_pages(staging, draft, evidence)


def _tuner(config: TrainingConfig) -> Tuner | None:
    """Tunes encoders in a process of its own, where that is asked for."""
    if config.learn != "deep":
        return None
    from training_service.adapters.tuning_process import TuningProcess

    return TuningProcess(config.cache_dir)


def _cached(cache_dir: Path | None) -> VectorMemory:
    """Puts the embedding cache before an encoder; nothing without a cache folder."""
    from training_service.adapters.encoders.cache import VectorMemory

    return VectorMemory(cache_dir / VECTORS_FOLDER if cache_dir else None)


def index_kinds(config: TrainingConfig) -> IndexKinds:
    """Where indexes come from; a cluster to join adds the rows of large ones."""
    from training_service.adapters.faiss_index import FaissIndex

    if config.engine == "local" or config.ray_address is None or config.ray_shared_dir is None:
        return FaissIndex
    from training_service.adapters.ray_index import RayAdding, RayIndexes

    return RayIndexes(RayAdding(config.ray_shared_dir, _cluster(config)))


def _filling(config: TrainingConfig) -> Fill | None:
    """Fills the embedding cache on a Ray cluster, where that is the engine."""
    if config.engine == "local":
        return None
    if config.cache_dir is None:
        hint = "set cache_dir to a folder"
        raise UsageError("engine=ray, and there is no embedding cache to fill", hint=hint)
    from training_service.adapters.encoders.ray import RayFilling

    return RayFilling(config.cache_dir / BLOCKS_FOLDER, _cluster(config))


def _cluster(config: TrainingConfig) -> RayProcess:
    """The cluster to join, or one on this machine."""
    from training_service.adapters.ray_process import RayProcess
    from training_service.settings_sources import ray_environment

    address = config.ray_address
    return RayProcess(address or "", ray_environment() if address else {})


def _known_texts(cache_dir: Path | None, model: Path, texts: Collection[str]) -> int | None:
    from training_service.adapters.encoders.cache_store import EmbeddingCache
    from training_service.adapters.encoders.loading import identity_of

    if cache_dir is None:
        return None
    cache = EmbeddingCache(cache_dir / VECTORS_FOLDER, identity_of(model))
    return int(cache.known(list(texts)).sum())


def _trim_cache(config: TrainingConfig, used: VectorMemory) -> tuple[str, ...]:
    """Keep the cache within its bound; what could not be done, in sentences."""
    from training_service.adapters.encoders.cache_pruning import Limits

    folder = cache_folder(config)
    if folder is None:
        return ()
    try:
        pruned = folder.prune(Limits(config.cache_max_bytes), keep=used.used())
    except StorageError as problem:
        return (f"the cache was not pruned: {problem}",)
    return tuple(f"not pruned: {fault}" for fault in pruned.faults)


def cache_folder(config: TrainingConfig) -> CacheFolder | None:
    """What is kept between runs to save work; ``None`` when nothing is to be."""
    from training_service.adapters.encoders.cache_pruning import CacheFolder
    from training_service.adapters.tuning_process import TUNED_FOLDER

    if config.cache_dir is None:
        return None
    folder = config.cache_dir
    wholes: dict[Kind, Path] = {
        "export": folder / EXPORTS_FOLDER,
        "tuned": folder / TUNED_FOLDER,
        "blocks": folder / BLOCKS_FOLDER,
    }
    return CacheFolder(folder / VECTORS_FOLDER, wholes, SystemClock())
