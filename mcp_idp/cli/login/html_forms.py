"""Parses the forms of a provider's page as a browser would submit them. Scripts are not executed."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_ERROR_CLASSES = ("error", "alert", "invalid-feedback")
_NAME_FIELDS = frozenset({"text", "email", "tel"})
_REJECT_LABELS = ("cancel", "deny", "decline", "reject", "abort", "refuse", "no")
_MAX_MESSAGE = 300


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
    parser.feed(html)
    parser.close()
    message = " ".join(" ".join(parser.messages).split())
    return Page(" ".join("".join(parser.title).split()), parser.forms, message[:_MAX_MESSAGE])


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

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(joined(self._url, values.get("action", "")), values.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag in {"input", "button"}:
            self._control(tag, values)
        elif tag == "title":
            self._in_title = not self.title
        if tag not in _VOID:
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
        elif self._button is not None:
            self._button.label += data
        if any(is_message for _, is_message in self._open) and self._open[-1][0] not in {"script", "style"}:
            self.messages.append(data)

    def _control(self, tag: str, values: dict[str, str]) -> None:
        if self._form is None or "disabled" in values:
            return
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
