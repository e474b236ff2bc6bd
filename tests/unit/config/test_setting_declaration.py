"""A setting is declared once: reading, default, typo guard, `.env.example` and docs/settings.md follow."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from mcp_idp.config import load_settings
from mcp_idp.config.env import EnvReader, SettingsError
from mcp_idp.config.setting_declaration import (
    Section,
    Setting,
    choice_of,
    declared_settings,
    read_duration,
    read_fields,
    read_hosts,
    read_path,
    setting,
    setting_group,
    size_of_at_least,
    whole_number,
)
from mcp_idp.config.settings import NAMES, Settings
from mcp_idp.config.stack_settings import KNOWN_NAMES, SECTIONS, default_of, names_read_by, read_setting
from scripts.docs.settings_table import example_file, table

ROOT = Path(__file__).parents[3]
LISTED = [declared for section in SECTIONS for declared in section.settings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A group of settings."""

    pause: int = setting("EXAMPLE_PAUSE", read_duration, "2m", text="The time between two attempts.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Settings that nothing but this test reads."""

    retries: int = setting("EXAMPLE_RETRIES", whole_number(0, 9), "3", text="How many attempts there are.")
    pauses: Pause = setting_group(Pause)
    first: str = setting("EXAMPLE_FIRST", choice_of("a", "b"), "a", text="The first one, and the second one.")
    second: str = setting("EXAMPLE_SECOND", choice_of("a", "b"), "a", default_from="first", example="b")


def test_what_is_declared_once_is_read_guarded_and_documented() -> None:
    names = [name for declared in declared_settings(Example) for name in declared.names]
    assert names == ["EXAMPLE_RETRIES", "EXAMPLE_PAUSE", "EXAMPLE_FIRST", "EXAMPLE_SECOND"]

    assert Example(**read_fields(Example, EnvReader({}))) == Example()
    assert (Example().retries, Example().pauses.pause) == (3, 120)
    found = read_fields(Example, EnvReader({"EXAMPLE_RETRIES": "5", "EXAMPLE_PAUSE": "9s", "EXAMPLE_FIRST": "b"}))
    assert found == {"retries": 5, "pauses": Pause(pause=9), "first": "b", "second": "b"}
    with pytest.raises(SettingsError, match="EXAMPLE_RETRIES=10: write a whole number from 0 to 9"):
        read_fields(Example, EnvReader({"EXAMPLE_RETRIES": "10"}))

    (typo,) = EnvReader({"EXAMPLE_RETRYS": "5"}).find_typos(names)
    assert typo == "EXAMPLE_RETRYS is not a setting: did you mean EXAMPLE_RETRIES?"

    section = Section("the example", "this test reads these", tuple(declared_settings(Example)))
    assert example_file([section]).endswith(
        "# How many attempts there are.\n# EXAMPLE_RETRIES=3\n\n"
        "# The time between two attempts.\n# EXAMPLE_PAUSE=2m\n\n"
        "# The first one, and the second one.\n# EXAMPLE_FIRST=a\n# EXAMPLE_SECOND=b\n"
    )
    assert table([section]).endswith(
        "## The example\n\n| setting | what it does |\n|---|---|\n"
        "| `EXAMPLE_RETRIES=3` | How many attempts there are. |\n"
        "| `EXAMPLE_PAUSE=2m` | The time between two attempts. |\n"
        "| `EXAMPLE_FIRST=a`<br>`EXAMPLE_SECOND`, e.g. `b` | The first one, and the second one. |\n"
    )


def test_every_field_of_the_server_s_settings_is_declared() -> None:
    groups = {"limits"}
    declared = list(declared_settings(Settings))
    assert len(declared) >= len(fields(Settings)) - len(groups)
    assert sorted(NAMES) == sorted(name for each in declared for name in each.names)
    assert set(NAMES) == set(names_read_by("server"))


@pytest.mark.parametrize("declared", [each for each in declared_settings(Settings) if each.default])
def test_a_default_that_is_written_out_changes_nothing(declared: Setting) -> None:
    assert load_settings({declared.name: declared.default}) == load_settings({})


@pytest.mark.parametrize("declared", [each for each in LISTED if each.example and each.parse])
def test_an_example_can_be_read(declared: Setting) -> None:
    assert declared.read(EnvReader({declared.name: declared.example})) != declared.default_value()


@pytest.mark.parametrize("name", sorted(name for name in NAMES if len(name) >= 8))
def test_a_missing_letter_is_a_typing_error_of_that_setting(name: str) -> None:
    for index in (0, len(name) // 2, len(name) - 1):
        misspelled = name[:index] + name[index + 1 :]
        with pytest.raises(SettingsError, match=f"{misspelled} is not a setting"):
            load_settings({misspelled: "x"})


def test_every_variable_that_is_documented_is_known_and_stands_in_both_documents() -> None:
    documented = {name for declared in LISTED for name in declared.names}
    assert documented <= KNOWN_NAMES
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in documented:
        assert len(re.findall(rf"^# {name}=", example, re.MULTILINE)) == 1
        assert len(re.findall(rf"`{name}[=`]", page)) >= 1


def test_the_compose_files_have_the_declared_defaults() -> None:
    defaults = {declared.name: declared.default for section in SECTIONS[1:] for declared in section.settings}
    elsewhere = {
        ("docker-compose.dex.production.yml", "DEX_CONFIG"),  # this overlay adds a file
        ("docker-compose.production.yml", "QUIRK_ORIGIN_METADATA"),  # off in production
    }
    found = set()
    for path in sorted(ROOT.glob("docker-compose*.yml")):
        for name, text in re.findall(r"\$\{([A-Z0-9_]+):-([^${}]+)\}", path.read_text(encoding="utf-8")):
            if defaults.get(name) and (path.name, name) not in elsewhere:
                assert text == defaults[name], f"{path.name}: {name}"
                found.add(name)
    assert len(found) >= 15
    assert {"MCP_PORT", "KEYCLOAK_PORT", "DEX_PORT", "FRONT_PORT", "KEYCLOAK_HEAP"} <= found


@pytest.mark.parametrize(
    ("parse", "unset"), [(read_hosts, ()), (read_path, None), (size_of_at_least(1), None), (read_duration, None)]
)
def test_without_a_default_an_unset_variable_is_the_empty_value_of_its_type(parse: Any, unset: object) -> None:
    declared = Setting(name="EXAMPLE", parse=parse)
    assert declared.default_value() == unset
    assert declared.read(EnvReader({"EXAMPLE": "  "})) == unset


def test_the_bootstrap_reads_settings_by_name() -> None:
    assert read_setting(EnvReader({"DEX_CONFIG": "a.yaml, b.yaml"}), "DEX_CONFIG") == ("a.yaml", "b.yaml")
    assert read_setting(EnvReader({}), "DEX_CONFIG") == default_of("DEX_CONFIG") == ("dex.yaml",)
    with pytest.raises(SettingsError, match="MCP_PUBLIC_URL"):
        read_setting(EnvReader({"MCP_PUBLIC_URL": "localhost"}), "MCP_PUBLIC_URL")
