"""How a setting is declared: once, with all that parsing, defaults, the typo guard and the documentation need.

`settings.py` and `rate_limit_settings.py` declare the server's settings as fields of dataclasses (`setting`),
`stack_settings.py` those that only the compose files and the bootstrap read (`Setting`). `.env.example` and
docs/settings.md are written from these declarations.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mcp_idp.config.env import EnvReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Parser = Callable[[EnvReader, str], Any]

# The programs that read settings: the server, the compose files, the bootstrap (of one provider or of each), the
# login, the registrar.
Program = Literal["server", "compose", "bootstrap", "keycloak", "dex", "auth0", "entra", "login", "registrar"]
_METADATA = "setting"
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One environment variable.

    Attributes:
        name: The variable.
        text: What it does, for `.env.example` and docs/settings.md. "" if the text of the setting above covers it.
        default: The value that has the same effect as none; "" if there is none, or other settings determine it.
        example: The value that the documentation shows instead of the default.
        file_example: A path, for a secret: the variable `name` + `_FILE` names a file that contains the value. "" if
            there is no such variable.
        parse: Reads the variable; None if the reading program needs other settings for that.
        default_from: The attribute whose value applies if this variable is unset.
        read_by: The programs that read it.
    """

    name: str
    text: str = ""
    default: str = ""
    example: str = ""
    file_example: str = ""
    parse: Parser | None = None
    default_from: str = ""
    read_by: tuple[Program, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The variables: the name and, for a secret, the name of the file's variable."""
        return (self.name, f"{self.name}_FILE") if self.file_example else (self.name,)

    def default_value(self) -> Any:
        """Returns the default, parsed; None, False or an empty tuple if there is none, by type."""
        return self.parse(EnvReader({self.name: self.default}), self.name) if self.parse else None

    def read(self, env: EnvReader) -> Any:
        """Returns the value in the environment, parsed, or the default.

        Raises:
            SettingsError: The value is invalid.
        """
        is_set = any(env.get_str(name) is not None for name in self.names)
        return self.parse(env, self.name) if self.parse and is_set else self.default_value()


@dataclass(frozen=True, slots=True)
class Section:
    """Settings under a common heading.

    Attributes:
        title: The heading.
        readers: What reads them, for the heading in `.env.example`.
        settings: In the order of the documentation.
    """

    title: str
    readers: str
    settings: tuple[Setting, ...]


def setting(  # noqa: PLR0913 - the members of `Setting`
    name: str,
    parse: Parser | None,
    default: str = "",
    *,
    text: str = "",
    example: str = "",
    file_example: str = "",
    default_from: str = "",
    also_read_by: tuple[Program, ...] = (),
    in_repr: bool = True,
) -> Any:
    """Declares a field of a dataclass as a setting of the server.

    Args:
        name: See `Setting`, also for the next six.
        parse: Reads the variable.
        default: The value that has the same effect as none.
        text: What it does.
        example: A value for the documentation.
        file_example: The path of a file with the value.
        default_from: The field above whose value applies if this variable is unset.
        also_read_by: The programs that read it in addition to the server.
        in_repr: Whether `repr` shows the value; False for secrets.
    """
    declared = Setting(
        name=name,
        text=text,
        default=default,
        example=example,
        file_example=file_example,
        parse=parse,
        default_from=default_from,
        read_by=("server", *also_read_by),
    )
    return field(default_factory=declared.default_value, metadata={_METADATA: declared}, repr=in_repr)


def setting_group(settings_class: type) -> Any:
    """Declares a field that holds further settings: an instance of another dataclass of settings."""
    return field(default_factory=settings_class, metadata={_METADATA: settings_class})


def declared_settings(settings_class: type) -> Iterator[Setting]:
    """Yields the settings that are declared in a dataclass, in their order, with those of its groups."""
    for member in fields(settings_class):
        declaration: Setting | type = member.metadata[_METADATA]
        if isinstance(declaration, Setting):
            yield declaration
        else:
            yield from declared_settings(declaration)


def read_fields(settings_class: type, env: EnvReader) -> dict[str, Any]:
    """Reads the settings that are declared in a dataclass, except those whose `parse` is None.

    Args:
        settings_class: The dataclass.
        env: The environment.

    Returns:
        Values by field name; a group of settings is an instance of its dataclass.

    Raises:
        SettingsError: A value is invalid.
    """
    values: dict[str, Any] = {}
    for member in fields(settings_class):
        declaration: Setting | type = member.metadata[_METADATA]
        if isinstance(declaration, type):
            values[member.name] = declaration(**read_fields(declaration, env))
        elif declaration.default_from and env.get_str(declaration.name) is None:
            values[member.name] = values[declaration.default_from]
        elif declaration.parse is not None:
            values[member.name] = declaration.read(env)
    return values


def choice_of(*choices: str) -> Parser:
    """Returns a parser of one of these words."""
    return lambda env, name: env.get_choice(name, choices)


def whole_number(minimum: int, maximum: int) -> Parser:
    """Returns a parser of an integer from `minimum` to `maximum`, both included."""
    return lambda env, name: env.get_int(name, minimum=minimum, maximum=maximum)


def size_of_at_least(minimum: int) -> Parser:
    """Returns a parser of a size in bytes such as `256M`, at least `minimum`."""
    return lambda env, name: env.get_bytes(name, minimum=minimum)


def read_text(env: EnvReader, name: str) -> str:
    """Returns a text; "" if unset."""
    return env.get_str(name) or ""


def read_path(env: EnvReader, name: str) -> Path | None:
    """Returns a path; None if unset."""
    value = env.get_str(name)
    return Path(value) if value is not None else None


read_url = EnvReader.get_url
read_list = EnvReader.get_list
read_flag = EnvReader.get_bool
read_duration = EnvReader.get_duration  # in seconds
read_origins = EnvReader.get_origins
read_hosts = EnvReader.get_hosts
read_networks = EnvReader.get_networks
read_port = whole_number(0, _MAX_PORT)  # port 0 lets the operating system choose one
