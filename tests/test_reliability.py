"""What docs/reliability.md promises must have a test, and its limits must be the code's."""

import ast
import re
from pathlib import Path

import pytest

from fedcircuits.federation.messages import LARGEST_WEIGHT, MOST_PARTITIONS
from fedcircuits.federation.record_values import LARGEST_MEASURE, MOST_EXAMPLES
from fedcircuits.federation.reply_size import SPARE_BYTES, most_reply_bytes
from strategies.plain_text import BEGINNING, END, MOST_LINES

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
FAULTS = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count(" | ") == 3]
HEADING = "| fault | "


def rows() -> list[str]:
    """Return the rows of the tables of faults."""
    return [line for line in FAULTS if not line.startswith(HEADING)]


def named_tests(row: str) -> list[tuple[str, str]]:
    return re.findall(r"`([\w/]+\.py)::(\w+)`", row.rsplit(" | ", 1)[1])


def test_the_page_has_its_tables():
    assert PAGE.count(HEADING) >= 4
    assert len(rows()) > 25


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[2:40])
def test_every_fault_names_tests_that_exist(row):
    named = named_tests(row)
    assert named
    for path, name in named:
        module = ast.parse((TESTS / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"


def test_every_limit_is_the_one_of_the_code(make_settings):
    limits = PAGE.split("## What a client may send")[1].split("\n## ")[0]
    rooms = [most_reply_bytes(make_settings({}).spec), SPARE_BYTES]
    numbers = [*rooms, LARGEST_WEIGHT, MOST_EXAMPLES, LARGEST_MEASURE, MOST_PARTITIONS, BEGINNING, END, MOST_LINES]
    for number in numbers:
        assert re.search(rf"(?<!\d)(?<!\d,){number:,.0f}(?!,?\d)", limits), number
