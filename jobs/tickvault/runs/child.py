"""Another program as the work of a service, for instance ``prefect worker start``."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from tickvault.core.errors import ConfigError
from tickvault.runs.service import Service, Work

_BEAT_SECONDS = 1.0


def child(command: Sequence[str]) -> Work:
    """Give the work that is this program: it beats while it lives, is asked to stop with us, and its exit code is ours.

    It and what it starts are a process group of their own: a signal from the terminal reaches it through us, and when
    the drain is cut short the whole group is killed.
    """

    def work(service: Service) -> int:
        try:
            process = subprocess.Popen(command, start_new_session=True)
        except OSError as error:
            raise ConfigError(f"{command[0]} cannot be started: {error.strerror}; is it installed here?") from error

        def kill() -> None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        service.cut_short.append(kill)
        while process.poll() is None and not service.wait(_BEAT_SECONDS):
            pass
        process.terminate()
        code = process.wait()
        if code == -signal.SIGTERM and service.stopping.is_set():
            return 0  # it knows no better way to stop, and was asked to
        return code if code >= 0 else 128 - code

    return work
