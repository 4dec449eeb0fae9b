"""Where a flow's steps run: as processes of this machine, or as Kubernetes Jobs; the same entry points in both."""

from tickvault.core.settings import Settings
from tickvault.runners.runner import Runner


def open_runner(settings: Settings) -> Runner:
    """Return the runner that ``TICKVAULT_RUNNER`` names; close it, or use it as a context."""
    if settings.tickvault_runner == "kubernetes":
        from tickvault.runners.kubernetes import KubernetesRunner

        return KubernetesRunner(settings)
    from tickvault.runners.process import ProcessRunner

    return ProcessRunner(timeout_seconds=settings.step_timeout_seconds)
