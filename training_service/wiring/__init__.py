"""Settings become adapters, recipes and the orchestrator: the only place that puts them together.

Here is what commands on versions work with; ``training`` puts together what makes them.

What is heavy is imported by the function that needs it, so that a command pays for what it uses.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from training_service.adapters.clock import SystemClock

if TYPE_CHECKING:
    from training_service.match.matcher import Matcher
    from training_service.ports import ReloadHook
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


def version_manager(store: Path, promoted_by: str = "") -> VersionManager:
    """The versions in ``store``; promotions are signed ``promoted_by``."""
    from training_service.release.version_manager import VersionManager

    return VersionManager(store, SystemClock(), promoted_by)


def latest_link(store: Path) -> LatestLink:
    """What ``store`` says is in service; less to import than all there is to it."""
    from training_service.release.latest import LatestLink

    return LatestLink(store)


def manual_promotion(config: TrainingConfig) -> ManualPromotion:
    """Puts versions of the configured store in service on a person's word."""
    from training_service.adapters.account import account
    from training_service.release.manual_promotion import ManualPromotion

    versions = version_manager(config.model_store_base, account())
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

    versions = version_manager(config.model_store_base)
    lock = partial(store_lock, config)
    return Repair(versions, verification(versions), ChromaProcess(), lock, SystemClock())


def reloading(config: TrainingConfig) -> Reloading:
    """Tells the ML service what serves in the configured store."""
    from training_service.release.reloading import Reloading

    versions = version_manager(config.model_store_base)
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

    versions, by = version_manager(config.model_store_base), account()
    pruner = Pruner(config.model_store_base, SystemClock(), by)
    lock = partial(store_lock, config)
    return ManualRetention(
        versions, pins(config.model_store_base, by), pruner, lock, SystemClock()
    )


def automatic_pruning(config: TrainingConfig, versions: VersionManager) -> AutomaticPruning | None:
    """What a run prunes with at its end; ``None`` when every version is to stay."""
    from training_service.adapters.account import account
    from training_service.release.pruning import AutomaticPruning, Pruner
    from training_service.release.retention import KeepRules, Retention

    if config.keep_versions is None:
        return None
    retention = Retention(versions, pins(config.model_store_base), SystemClock())
    pruner = Pruner(config.model_store_base, SystemClock(), f"a run as {account()}")
    return AutomaticPruning(retention, pruner, KeepRules(config.keep_versions, config.keep_hours))


def pins(store: Path, by: str = "") -> Pins:
    """The pins of ``store``; new ones are signed ``by``."""
    from training_service.release.pins import Pins

    return Pins(store, SystemClock(), by)


def history(store: Path) -> History:
    """What served when in ``store``."""
    from training_service.release.timeline import look_back

    return look_back(store)


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
