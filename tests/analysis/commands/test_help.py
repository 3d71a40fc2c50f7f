"""The help teaches: every command says what it answers, and every example that is shown can be typed."""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import documentation
import pytest

from analysis.__main__ import build_parser, main

PROJECT = Path(__file__).parents[3]

SHOWN = re.compile(r"^ *python -m analysis (.*?)(?:  +#.*)?$", flags=re.MULTILINE)
"""A command line of analysis in a text, without the comment behind it."""

TYPED = re.compile(r"\bpython -m analysis (.*?)(?= (?:>|&&|\|) |  +#|$)", flags=re.MULTILINE)
"""The arguments of a command line in a block of commands, up to what the shell would take for its own."""

FORMATS = {
    "summary": ["text", "json", "csv"],
    "diagnose": ["text", "json"],
    "follows": ["text", "json", "csv"],
    "status": ["text", "json"],
    "compare": ["text", "json", "csv"],
    "verdicts": ["text", "json", "csv"],
}


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = build_parser()._subparsers
    assert actions is not None
    (choices,) = [action.choices for action in actions._group_actions]
    assert isinstance(choices, dict)
    return choices


def typed(text: str) -> list[list[str]]:
    """Return the arguments of each command line in a text, up to what the shell would take for its own."""
    lines = [re.split(r" (?:>|&&|\|) ", line)[0] for line in SHOWN.findall(text)]
    return [shlex.split(line) for line in lines if not line.startswith("COMMAND")]


@pytest.mark.parametrize("name", commands())
def test_every_command_says_what_it_answers_and_ends_with_examples_that_can_be_typed(name: str) -> None:
    parser = commands()[name]
    assert parser.description
    assert len(parser.description) > 100
    examples = typed(parser.format_help().partition("examples:")[2])
    assert examples
    for arguments in examples:
        assert arguments[0] == name
        build_parser().parse_args(arguments)


def test_the_main_help_lists_commands_exit_codes_and_examples_that_can_be_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    said = capsys.readouterr().out
    assert stopped.value.code == 0
    assert re.findall(r"^  (\d+) ", said, flags=re.MULTILINE) == ["0", "1", "2", "130"]
    for name, parser in commands().items():
        assert re.search(rf"^    {name}\b", said, flags=re.MULTILINE), name
        assert parser.format_help()
    for arguments in typed(said):
        build_parser().parse_args(arguments)


def test_no_line_of_a_description_or_an_example_is_wider_than_a_page() -> None:
    for parser in commands().values():
        assert all(len(line) <= 100 for line in f"{parser.description}\n{parser.epilog}".splitlines())


def test_commands_that_print_tables_offer_their_formats() -> None:
    for name, parser in commands().items():
        offered = [action.choices for action in parser._actions if action.dest == "format"]
        assert offered == ([tuple(FORMATS[name])] if name in FORMATS else [])


def test_every_command_line_in_the_documentation_can_be_typed() -> None:
    lines = [line for block in documentation.commands(PROJECT) for line in TYPED.findall(block)]
    assert len(lines) > 20
    for line in lines:
        build_parser().parse_args(shlex.split(line))


def test_the_page_on_looking_at_runs_shows_every_command() -> None:
    page = (PROJECT / "docs" / "analysis.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \| ", page, flags=re.MULTILINE)) == set(commands())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["follows", "--permutations", "none"], "'none' is no whole number of at least 1"),
        (["verdicts", "runs", "--pilot", "digits"], "'digits' is no family with its seeds, such as digits:0,1"),
        (["figures", "--as", "gif"], "invalid choice: 'gif'"),
        (["summary", "--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err


def test_the_command_line_starts_without_what_only_some_commands_need() -> None:
    large = ["matplotlib", "torch", "flwr", "jinja2"]
    line = f"import sys, analysis.__main__; print([name for name in {large} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", line], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
