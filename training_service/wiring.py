"""Settings become adapters, recipes and the orchestrator: the only place that puts them together.

What is heavy is imported by the function that needs it, so that a command pays for what it uses.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from training_service.adapters.clock import SystemClock
from training_service.errors import StorageError, UsageError

if TYPE_CHECKING:
    from training_service.adapters.encoders.cache import VectorMemory
    from training_service.adapters.encoders.cache_pruning import CacheFolder
    from training_service.match.matcher import Matcher
    from training_service.orchestrator import TrainingOrchestrator
    from training_service.ports import ProgressBars, ReloadHook
    from training_service.recipes.semantic_index import Fill, SemanticIndex
    from training_service.recipes.semantic_inputs import Inputs
    from training_service.release.latest import LatestLink
    from training_service.release.manual_promotion import ManualPromotion
    from training_service.release.manual_retention import ManualRetention
    from training_service.release.pins import Pins
    from training_service.release.pruning import AutomaticPruning
    from training_service.release.reloading import Reloading
    from training_service.release.repair import Repair
    from training_service.release.service_change import ServiceChange
    from training_service.release.timeline import History
    from training_service.release.verification import Verification
    from training_service.release.version_manager import VersionManager
    from training_service.settings import TrainingConfig

VECTORS_FOLDER = "vectors"
EXPORTS_FOLDER = "exports"
BLOCKS_FOLDER = "ray-blocks"


def version_manager(config: TrainingConfig, promoted_by: str = "") -> VersionManager:
    """The versions of the configured store; promotions are signed ``promoted_by``."""
    from training_service.release.version_manager import VersionManager

    return VersionManager(config.model_store_base, SystemClock(), promoted_by)


def latest_link(config: TrainingConfig) -> LatestLink:
    """What the configured store says is in service; less to import than all there is to it."""
    from training_service.release.latest import LatestLink

    return LatestLink(config.model_store_base)


def manual_promotion(config: TrainingConfig) -> ManualPromotion:
    """Puts versions of the configured store in service on a person's word."""
    from training_service.adapters.account import account
    from training_service.release.manual_promotion import ManualPromotion

    versions = version_manager(config, account())
    service = service_change(config, versions, reload_hook(config))
    lock, whole = partial(store_lock, config), verification(versions).require
    return ManualPromotion(versions, service, lock, SystemClock(), whole)


def verification(versions: VersionManager) -> Verification:
    """Looks at ``versions`` to the bottom."""
    from training_service.adapters.chroma_process import ChromaProcess
    from training_service.adapters.version_probe import VersionProcess
    from training_service.release.verification import Verification

    return Verification(versions, VersionProcess(), ChromaProcess())


def repair(config: TrainingConfig) -> Repair:
    """Rebuilds vector stores of the configured store."""
    from training_service.adapters.chroma_process import ChromaProcess
    from training_service.release.repair import Repair

    versions = version_manager(config)
    lock = partial(store_lock, config)
    return Repair(versions, verification(versions), ChromaProcess(), lock, SystemClock())


def reloading(config: TrainingConfig) -> Reloading:
    """Tells the ML service what serves in the configured store."""
    from training_service.release.reloading import Reloading

    versions = version_manager(config)
    service = service_change(config, versions, reload_hook(config))
    return Reloading(versions, service, partial(store_lock, config), SystemClock())


def service_change(
    config: TrainingConfig, versions: VersionManager, hook: ReloadHook | None
) -> ServiceChange:
    """Puts versions in service and tells the ML service through ``hook``."""
    from training_service.release.notifier import Notifier
    from training_service.release.service_change import ServiceChange

    notifier = Notifier(config.model_store_base, hook, SystemClock())
    return ServiceChange(versions, notifier, restores_refused=config.rollback_on_reload_failure)


def manual_retention(config: TrainingConfig) -> ManualRetention:
    """Pins and prunes versions of the configured store on a person's word."""
    from training_service.adapters.account import account
    from training_service.release.manual_retention import ManualRetention
    from training_service.release.pruning import Pruner

    versions, by = version_manager(config), account()
    pruner = Pruner(config.model_store_base, SystemClock(), by)
    lock = partial(store_lock, config)
    return ManualRetention(versions, pins(config, by), pruner, lock, SystemClock())


def automatic_pruning(config: TrainingConfig, versions: VersionManager) -> AutomaticPruning | None:
    """What a run prunes with at its end; ``None`` when every version is to stay."""
    from training_service.adapters.account import account
    from training_service.release.pruning import AutomaticPruning, Pruner
    from training_service.release.retention import KeepRules, Retention

    if config.keep_versions is None:
        return None
    retention = Retention(versions, pins(config), SystemClock())
    pruner = Pruner(config.model_store_base, SystemClock(), f"a run as {account()}")
    return AutomaticPruning(retention, pruner, KeepRules(config.keep_versions, config.keep_hours))


def pins(config: TrainingConfig, by: str = "") -> Pins:
    """The pins of the configured store; new ones are signed ``by``."""
    from training_service.release.pins import Pins

    return Pins(config.model_store_base, SystemClock(), by)


def history(config: TrainingConfig) -> History:
    """What served when in the configured store."""
    from training_service.release.timeline import look_back

    return look_back(config.model_store_base)


def reload_hook(config: TrainingConfig) -> ReloadHook | None:
    """The configured ML service, ``None`` when none is to be told."""
    from training_service.adapters.reload_hook import HttpReloadHook
    from training_service.domain.webhook_secret import signing_keys

    url, secret = config.ml_service_reload_url, config.reload_secret
    keys = () if secret is None else signing_keys(secret.get_secret_value())
    return None if url is None else HttpReloadHook(url, keys=keys)


def store_lock(
    config: TrainingConfig, mode: str, run_id: str, wait_s: float
) -> AbstractContextManager[object]:
    """Holds the configured store for one run."""
    from training_service.adapters.store_lock import StoreLock

    return StoreLock(config.model_store_base, mode, run_id, wait_s=wait_s)


def prepare_matching() -> None:
    """Import what ``open_matcher`` takes, for a caller who waits for something else anyway."""
    from training_service.adapters.matcher_files import import_packages

    import_packages()


def open_matcher(version: Path) -> Matcher:
    """The matcher that the version in the folder ``version`` serves."""
    from training_service.adapters.matcher_files import VersionMatcherFiles

    return VersionMatcherFiles().read(version)


def orchestrator(
    config: TrainingConfig, progress: ProgressBars | None = None
) -> TrainingOrchestrator[Inputs]:
    """The orchestrator of the configured recipe and store."""
    from training_service.adapters.account import account
    from training_service.adapters.version_pages import write_pages
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
    versions = version_manager(config, f"full-train as {account()}")  # the mode that promotes
    release = ReleaseTools(
        versions,
        partial(store_lock, config),
        service_change(config, versions, hook := reload_hook(config)),
        hook,
        VersionProcess(),
        automatic_pruning(config, versions),
        write_pages,
    )
    recipe = make(config, progress or no_progress_bars)
    return TrainingOrchestrator(recipe, release, policy, SystemClock())


def semantic_index(config: TrainingConfig, progress: ProgressBars) -> SemanticIndex:
    """The recipe ``semantic-index`` with real models, indexes and caches."""
    from training_service.adapters.chroma_process import ChromaProcess
    from training_service.adapters.encoders.loading import EncoderLoader
    from training_service.adapters.faiss_index import FaissIndex
    from training_service.adapters.matcher_files import VersionMatcherFiles
    from training_service.adapters.model_sources import ModelSources
    from training_service.fit.collection_builder import CollectionBuilder
    from training_service.fit.index_builder import IndexBuilder
    from training_service.fit.index_choice import IndexesByRule
    from training_service.fit.model_manager import ModelManager
    from training_service.recipes.semantic_index import SemanticIndex, Tools
    from training_service.recipes.semantic_inputs import SemanticIndexOptions
    from training_service.release.durable import write_bytes
    from training_service.release.linking import duplicate_file

    remember = _cached(config.cache_dir)
    exports = config.cache_dir / EXPORTS_FOLDER if config.cache_dir else None
    options = SemanticIndexOptions(
        **{name: getattr(config, name) for name in SemanticIndexOptions.names()}
    )
    tools = Tools(
        models=ModelManager(ModelSources(), EncoderLoader(), exports, duplicate_file),
        index_builder=IndexBuilder(IndexesByRule(FaissIndex, config.index_type), write_bytes),
        collections=CollectionBuilder(ChromaProcess(), FaissIndex),
        matcher_files=VersionMatcherFiles(remember),
        remember=remember,
        fill=_filling(config),
        trim_cache=partial(_trim_cache, config, remember),
        known_texts=partial(_known_texts, config.cache_dir),
        clock=SystemClock(),
        progress=progress,
    )
    return SemanticIndex(options, tools)


def _cached(cache_dir: Path | None) -> VectorMemory:
    """Puts the embedding cache before an encoder; nothing without a cache folder."""
    from training_service.adapters.encoders.cache import VectorMemory

    return VectorMemory(cache_dir / VECTORS_FOLDER if cache_dir else None)


def _filling(config: TrainingConfig) -> Fill | None:
    """Fills the embedding cache on a Ray cluster, where that is the engine."""
    if config.engine == "local":
        return None
    if config.cache_dir is None:
        hint = "set cache_dir to a folder"
        raise UsageError("engine=ray, and there is no embedding cache to fill", hint=hint)
    from training_service.adapters.encoders.ray import RayFilling
    from training_service.adapters.ray_process import RayProcess
    from training_service.settings_sources import ray_environment

    address = config.ray_address
    cluster = RayProcess(address or "", ray_environment() if address else {})
    return RayFilling(config.cache_dir / BLOCKS_FOLDER, cluster)


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

    if config.cache_dir is None:
        return None
    folder = config.cache_dir
    return CacheFolder(folder / VECTORS_FOLDER, folder / EXPORTS_FOLDER, SystemClock())
