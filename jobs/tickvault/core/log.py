"""Logging: one JSON object a line for machines, short lines for people; no secret ever passes."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from tickvault.core import redaction
from tickvault.core.program import pasted
from tickvault.core.settings import Settings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(settings: Settings, **context: str) -> None:
    """Send this process's log to stderr.

    Args:
        settings: Gives level and format.
        context: Fields on every line, such as ``job`` and ``slot``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(settings.tickvault_log_format == "json", context))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.tickvault_log_level)
    for chatty in ("urllib3", "botocore", "boto3", "snowflake", "yfinance", "peewee", "httpx", "faker"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def copy_to(file: TextIO, **context: str) -> logging.Handler:
    """Return a handler that writes a further copy of the log, as JSON, for the caller to add and remove."""
    handler = logging.StreamHandler(file)
    handler.setFormatter(_Formatter(True, context))
    return handler


class _Formatter(logging.Formatter):
    def __init__(self, as_json: bool, context: dict[str, str]) -> None:
        super().__init__()
        self._as_json, self._context = as_json, context

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        error = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else None
        if self._as_json:
            line: dict[str, Any] = {
                "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": record.getMessage(),
                **self._context,
                **fields,
            }
            line = redaction.data(line | ({"error": error} if error else {}))  # before JSON escapes what is escaped
            text = json.dumps(line, default=str, ensure_ascii=False)
        else:
            extra = " ".join(f"{k}={v}" for k, v in fields.items())
            time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
            text = f"{time} {record.levelname:<7} {pasted(record.getMessage())}{'  ' + extra if extra else ''}"
            text += f"\n{error}" if error else ""
        return redaction.text(text)
