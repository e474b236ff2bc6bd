"""Parses the forms of a provider's page as a browser would submit them. Scripts are not executed."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin

if TYPE_CHECKING:
    from collections.abc import Iterator

_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_ERROR_CLASSES = ("error", "alert", "invalid-feedback")
_NAME_FIELDS = frozenset({"text", "email", "tel"})
_REJECT_LABELS = ("cancel", "deny", "decline", "reject", "abort", "refuse", "no")
_MAX_MESSAGE = 300
_MAX_DEPTH = 200  # elements; the time for a page is the product of its length and its depth
_MAX_CONTROLS = 1000
_MAX_TAG = 16 * 1024
_TAG = re.compile(r"""<(/?[A-Za-z][^\s/<>]*+)(?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+>""")
_RAW = frozenset({"script", "style"})


@dataclass(slots=True)
class Field:
    """A form control that is submitted.

    Attributes:
        name: The control's name.
        kind: The input type in lower case.
        value: The value to submit.
        label: A button's text, which is never submitted.
    """

    name: str
    kind: str
    value: str
    label: str = ""


@dataclass(slots=True)
class Form:
    """An HTML form.

    Attributes:
        action: The absolute URL that it submits to.
        method: The HTTP method in lower case.
        fields: The controls in document order, without buttons.
        buttons: The submit buttons in document order.
    """

    action: str
    method: str
    fields: list[Field] = field(default_factory=list)
    buttons: list[Field] = field(default_factory=list)

    @property
    def password_field(self) -> Field | None:
        """The first password field."""
        return next((f for f in self.fields if f.kind == "password"), None)

    @property
    def name_field(self) -> Field | None:
        """The first text, email or telephone field."""
        return next((f for f in self.fields if f.kind in _NAME_FIELDS), None)

    @property
    def accept_button(self) -> Field | None:
        """The first button whose name, value and label contain no word of rejection."""
        for button in self.buttons:
            words = f"{button.name} {button.value} {button.label}".lower().replace("_", " ").replace("-", " ").split()
            if not any(word in _REJECT_LABELS for word in words):
                return button
        return None

    def form_data(self, button: Field | None = None) -> dict[str, str]:
        """Returns what a browser submits when `button` is pressed, by control name."""
        data = {f.name: f.value for f in self.fields if f.name}
        if button is not None and button.name:
            data[button.name] = button.value
        return data


@dataclass(slots=True)
class Page:
    """The parts of a page that a headless login uses.

    Attributes:
        title: The page's title.
        forms: Its forms.
        message: The text of its error messages, or "".
    """

    title: str
    forms: list[Form]
    message: str


def joined(base: str, url: str) -> str:
    """Resolves `url` relative to `base`; an invalid URL is returned unchanged."""
    try:
        return urljoin(base, url)
    except ValueError:
        return url


def read_page(html: str, url: str) -> Page:
    """Parses a page. Malformed HTML is not an error.

    Args:
        html: The page.
        url: Its URL, to resolve relative form actions.
    """
    parser = _PageParser(url)
    for part in _tokens(html):
        if not part.startswith("<"):
            parser.handle_data(_decoded(part))
        elif len(part) <= _MAX_TAG:
            with suppress(ValueError):  # a character reference such as &#9…9; of thousands of digits
                parser.feed(part)
    message = " ".join(" ".join(parser.messages).split())
    return Page(" ".join("".join(parser.title).split()), parser.forms, message[:_MAX_MESSAGE])


def _tokens(html: str) -> Iterator[str]:
    """Yields the tags and the texts of a page, without comments, declarations and scripts.

    `HTMLParser` alone takes a time that grows with the square of the page's length, for pages such as "<a <a <a ".
    Here no character is read twice: a tag ends before the next "<", also in quotes.
    """
    lower, position = html.lower(), 0
    while position < len(html):
        start = html.find("<", position)
        if start != position:
            yield html[position : start if start >= 0 else len(html)]
        if start < 0:
            return
        position = _end_of_markup(html, start)
        if (tag := _TAG.match(html, start)) is not None:
            yield tag.group()
            position = tag.end()
            if (name := tag.group(1).lower()) in _RAW:
                position = lower.find(f"</{name}", position)
        if position < 0:
            return  # what is not closed goes to the end of the page


def _end_of_markup(html: str, start: int) -> int:
    """Returns where a comment or declaration at `start` ends, or -1; what is neither ends after its first character."""
    if html.startswith("<!--", start):
        end = html.find("-->", start + 4)
        return end if end < 0 else end + 3
    if html.startswith(("<!", "<?"), start):
        end = html.find(">", start)
        return end if end < 0 else end + 1
    return start + 1


def _decoded(text: str) -> str:
    try:
        return unescape(text)
    except ValueError:  # as above
        return text


class _PageParser(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.title: list[str] = []
        self.messages: list[str] = []
        self._url = url
        self._form: Form | None = None
        self._in_title = False
        self._open: list[tuple[str, bool]] = []  # enclosing elements, and whether each is an error message
        self._button: Field | None = None
        self._controls = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(joined(self._url, values.get("action", "")), values.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag in {"input", "button"}:
            self._control(tag, values)
        elif tag == "title":
            self._in_title = not self.title
        if tag not in _VOID and len(self._open) < _MAX_DEPTH:
            classes = f"{values.get('class', '')} {values.get('id', '')}".lower()
            self._open.append((tag, any(error_class in classes for error_class in _ERROR_CLASSES)))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "title":
            self._in_title = False
        elif tag == "button":
            self._button = None
        if any(name == tag for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass  # unclosed elements end with the enclosing one

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif self._button is not None and len(self._button.label) < _MAX_MESSAGE:
            self._button.label += data
        if any(is_message for _, is_message in self._open) and self._open[-1][0] not in {"script", "style"}:
            self.messages.append(data)

    def _control(self, tag: str, values: dict[str, str]) -> None:
        if self._form is None or "disabled" in values or self._controls == _MAX_CONTROLS:
            return
        self._controls += 1
        kind = values.get("type", "submit" if tag == "button" else "text").lower()
        control = Field(values.get("name", ""), kind, values.get("value", ""))
        if kind in {"submit", "image"}:
            self._form.buttons.append(control)
            self._button = control if tag == "button" else None
        elif kind in {"checkbox", "radio"}:
            if "checked" in values:
                control.value = control.value or "on"
                self._form.fields.append(control)
        elif kind not in {"button", "reset", "file"}:
            self._form.fields.append(control)
