"""Configures the log of the process: structured events on standard error, as text on a terminal and else as JSON lines.

Anything that looks like a token is redacted before a line is written. The events of this package contain no tokens;
redaction is for the log records of other libraries.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

# A possible JWT with the characters around it. The whole run is matched at once, so the time is linear in the length of
# the line. A pattern that tries to start a token at every character takes hours on a long line crafted for that.
_TOKEN_CANDIDATE = re.compile(r"[\w.-]+", re.ASCII)
_JWT_PREFIX = "eyJ"  # {" in base64url: the start of a JWT's header and payload
_MIN_HEADER_LENGTH = 11  # characters of the shortest header that is redacted
_BEARER = re.compile(r"(?i:bearer\s+)[\w.~+/-]{16,}=*", re.ASCII)  # a token of any kind after its scheme
_REDACTED = "(token withheld)"
_KEY_ORDER = ("timestamp", "level", "event")  # the first keys of a JSON line, so that lines are easy to scan


def _redact_processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: _redact_value(value) for name, value in event.items()}


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return _redact(value)
    if isinstance(value, bytes | dict | list | tuple):
        text = repr(value)
        return cleaned if (cleaned := _redact(text)) != text else value
    return value


def _humanize_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: value if isinstance(value, str) else _humanize(value) for name, value in event.items()}


def _humanize(value: Any) -> Any:
    """Formats a value as plain text instead of a Python repr; numbers and other values are returned unchanged."""
    if value is None or value in ([], (), {}, frozenset()):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(str(_humanize(part)) for part in value))
    if isinstance(value, list | tuple):
        return ", ".join(str(_humanize(part)) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_humanize(part)}" for name, part in value.items())
    return value


def _order_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    first: EventDict = {name: event[name] for name in _KEY_ORDER if name in event}
    return {**first, **event}


def _redact(text: str) -> str:
    if _JWT_PREFIX in text:
        text = _TOKEN_CANDIDATE.sub(_redact_jwt, text)
    return _BEARER.sub(_REDACTED, text)


def _redact_jwt(run: re.Match[str]) -> str:
    before, found, token = run[0].partition(_JWT_PREFIX)
    return before + _REDACTED if found and token.find(".", _MIN_HEADER_LENGTH - len(found)) >= 0 else run[0]


def configure_logging(log_format: str, level: str) -> None:
    """Sends the events of this package and the log records of all libraries to standard error.

    Args:
        log_format: "text", "json", or "auto" (text on a terminal, otherwise JSON).
        level: the threshold: "debug", "info", "warning" or "error".
    """
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Processor] = (
        [_humanize_values, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if text
        else [_order_keys, structlog.processors.JSONRenderer(sort_keys=False)]
    )
    finish: list[Processor] = [structlog.processors.format_exc_info, _redact_processor, *renderer]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(threshold)
    # The info records of these libraries repeat the events of this package or are of no use to operators.
    for chatty in ("httpx", "httpcore", "mcp", "uvicorn", "sse_starlette"):
        logging.getLogger(chatty).setLevel(max(threshold, logging.WARNING))
