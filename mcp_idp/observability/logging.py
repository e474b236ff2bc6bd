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
_RUN = re.compile(r"[\w.-]+", re.ASCII)
_BEGINNING = "eyJ"  # of header and payload: {" in base64url
_LEAST = 11  # characters of a header
_BEARER = re.compile(r"(?i:bearer\s+)[\w.~+/-]{16,}=*", re.ASCII)  # a token of any kind behind its scheme
_WITHHELD = "(token withheld)"
_FIRST = ("timestamp", "level", "event")  # of a JSON line: what whoever looks through many of them looks for


def _without_tokens(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: _clean(value) for name, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _withhold(value)
    if isinstance(value, bytes | dict | list | tuple):
        text = repr(value)
        return cleaned if (cleaned := _withhold(text)) != text else value
    return value


def _for_people(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: value if isinstance(value, str) else _said(value) for name, value in event.items()}


def _said(value: Any) -> Any:
    """`value` as a person would write it, not as Python does; what nobody writes otherwise stays."""
    if value is None or value in ([], (), {}, frozenset()):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(str(_said(part)) for part in value))
    if isinstance(value, list | tuple):
        return ", ".join(str(_said(part)) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(part)}" for name, part in value.items())
    return value


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    first: EventDict = {name: event[name] for name in _FIRST if name in event}
    return {**first, **event}


def _withhold(text: str) -> str:
    if _BEGINNING in text:
        text = _RUN.sub(_withhold_jwt, text)
    return _BEARER.sub(_WITHHELD, text)


def _withhold_jwt(run: re.Match[str]) -> str:
    before, found, token = run[0].partition(_BEGINNING)
    return before + _WITHHELD if found and token.find(".", _LEAST - len(found)) >= 0 else run[0]


def configure_logs(log_format: str, level: str) -> None:
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
        [_for_people, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if text
        else [_in_order, structlog.processors.JSONRenderer(sort_keys=False)]
    )
    finish: list[Processor] = [structlog.processors.format_exc_info, _without_tokens, *renderer]
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
