"""Configures the log of the process: structured events on standard error, as text on a terminal, otherwise as JSON.

Anything that looks like a token is redacted before a line is written. The events of this package contain no tokens;
redaction is for the log records of other libraries. All text is escaped and bounded, in both formats and in tracebacks
(`escaping.py`).
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from mcp_idp.observability.log_escaping import escape, escape_value, format_exception

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


class _Traceback(str):
    """The text of a traceback, whose lines are already escaped and bounded."""

    __slots__ = ()


class _Field:
    """A text as the console renderer shows it: in quotes if it would otherwise be unclear where it ends."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        if _QUOTED_CHARACTERS.isdisjoint(self._text) and self._text:
            return self._text
        quote = '"' if "'" in self._text and '"' not in self._text else "'"
        return quote + self._text.replace(quote, f"\\{quote}") + quote


_MULTILINE_KEYS = ("exception", "stack")
_QUOTED_CHARACTERS = frozenset(" =\"'\\")


def _exception_processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces `exc_info` by the traceback, as `exception`."""
    info = event.pop("exc_info", None)
    if info and not isinstance(info, BaseException):
        info = info[1] if isinstance(info, tuple) else sys.exc_info()[1]
    return {**event, "exception": _Traceback(format_exception(info))} if info else event


def _clean_processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Redacts tokens and escapes and bounds all text."""
    return {
        escape(name): _Traceback(_redact(value)) if isinstance(value, _Traceback) else escape_value(value, _redact)
        for name, value in event.items()
    }


def _humanize_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Formats the values as plain text, except those in `_KEY_ORDER` and tracebacks, which need no formatting."""
    formatted: EventDict = {}
    for name, value in event.items():
        if name in _KEY_ORDER or isinstance(value, _Traceback):
            formatted[name] = value
        else:  # the renderer gives `exception` and `stack` lines of their own
            formatted[f"{name}_" if name in _MULTILINE_KEYS else name] = _Field(str(_humanize(value)))
    return formatted


def _humanize(value: Any) -> Any:
    """Formats a value as plain text instead of a Python repr; numbers and other values are returned unchanged."""
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
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


class _Handler(logging.StreamHandler[TextIO]):
    """Writes log records to a stream.

    For a record that cannot be formatted, Python's own handler would write the arguments unescaped.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - overrides
        """Writes a line in place of a record that cannot be formatted."""
        structlog.get_logger(__name__).error("log_record_not_formatted", logger=record.name, line=record.lineno)


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
        [
            _humanize_values,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
        if text
        else [_order_keys, structlog.processors.JSONRenderer(sort_keys=False)]
    )
    finish: list[Processor] = [_exception_processor, _clean_processor, *renderer]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stderr)
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
