"""``train reload``, and what a command does about a reload that nobody confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import SERVICE, STORE, Wait
from training_service.errors import ReloadUnconfirmed, UsageError

if TYPE_CHECKING:
    from training_service.settings import TrainingConfig


@command(*STORE, *SERVICE)
def reload(
    frame: Frame,
    pending: Annotated[
        bool, typer.Option("--pending", help="Only if a reload is still unconfirmed.")
    ] = False,
    wait: Wait = 0.0,
) -> None:
    """Tell the ML service to load what serves; exit code 3 when it does not confirm."""
    from training_service.wiring import reloading, version_manager

    config = frame.settings().config
    require_service(config, "`train reload`")
    frame.watch_latest(version_manager(config.model_store_base).latest_text)
    service = reloading(config)
    report = service.tell_pending(wait) if pending else service.tell(wait)
    told = None if report is None else asdict(report)
    frame.report(
        {"version": report.version if report else None, "reload": told},
        "no reload is pending: there is nothing to deliver"
        if report is None
        else f"reload: {report.outcome} - {report.detail}",
    )
    require_confirmed(told)


def require_service(config: TrainingConfig, what: str) -> None:
    """UsageError when there is no service that ``what`` could rely on."""
    if config.ml_service_reload_url is None:
        hint = "set ML_SERVICE_RELOAD_URL or --reload-url"
        raise UsageError(f"{what} needs a service to tell, and no reload URL is set", hint=hint)


def require_confirmed(reload: Mapping[str, Any] | None) -> None:
    """ReloadUnconfirmed when the service was told and did not confirm."""
    if reload is None or reload["outcome"] == "confirmed":
        return
    raise ReloadUnconfirmed(
        f"{reload['version']} is promoted, and the reload is not confirmed: "
        f"{reload['outcome']} - {reload['detail']}",
        hint="`train reload --pending` tells the service again",
    )
