"""One log for everything in the process: events with fields, on standard error.

Text where a person looks on, JSON lines elsewhere. Whatever looks like a token is taken out before it is written: no
line of ours holds one, and this is for the lines of others.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

# What could be a JWT with what stands around it. Taken whole, so that a line is read once, whatever is in it: looking
# for a token from every letter on takes hours for a long line that somebody wrote for it.
_TOKEN_CANDIDATE = re.compile(r"[\w.-]+", re.ASCII)
_JWT_PREFIX = "eyJ"  # of header and payload: {" in base64url
_MIN_HEADER_LENGTH = 11  # characters of a header
_BEARER = re.compile(r"(?i:bearer\s+)[\w.~+/-]{16,}=*", re.ASCII)  # a token of any kind behind its scheme
_REDACTED = "(token withheld)"
_KEY_ORDER = ("timestamp", "level", "event")  # of a JSON line: what whoever looks through many of them looks for


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
    """`value` as a person would write it, not as Python does; what nobody writes otherwise stays."""
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
    """Send the events of this package, and the log records of every library, to standard error.

    Args:
        log_format: "text", "json", or "auto": text on a terminal.
        level: "debug", "info", "warning" or "error".
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
    # Their info lines say what our own events say, or nothing that an operator needs.
    for chatty in ("httpx", "httpcore", "mcp", "uvicorn", "sse_starlette"):
        logging.getLogger(chatty).setLevel(max(threshold, logging.WARNING))
