"""What is written into a page can be read back, and no HTML parser reads it as markup."""

import base64
import json
import math

import numpy as np
import pandas as pd
import pytest

from analysis.report.embedding import encode_bytes, encode_table, json_for_html


def decoded(column: dict) -> list:
    if "floats" in column:
        return np.frombuffer(base64.b64decode(column["floats"]), dtype="<f4").tolist()
    codes = np.frombuffer(base64.b64decode(column["codes"]), dtype=f"<u{column['bytes']}")
    return [column["levels"][code] for code in codes]


def test_json_in_a_page_has_no_character_that_could_end_it_or_begin_a_tag() -> None:
    value = {"</script>": "<!-- & \u2028 \u2029 ü"}
    text = json_for_html(value)
    assert not set(text) & set("<>&\u2028\u2029ü")
    assert json.loads(text) == value


def test_json_in_a_page_refuses_what_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_for_html({"figure": math.nan})


def test_columns_of_every_kind_come_back_with_their_missing_values() -> None:
    frame = pd.DataFrame(
        {
            "round": [3, 1, 3],
            "partition_id": pd.array([1, None, 0], dtype="Int64"),
            "layer": ["conv1", None, "all"],
            "accepted": pd.array([True, None, False], dtype="boolean"),
            "iou": [0.5, np.nan, 0.25],
        }
    )
    table = encode_table(frame)
    assert table["rows"] == 3
    columns = {name: decoded(column) for name, column in table["columns"].items()}
    assert columns["round"] == [3, 1, 3]
    assert columns["partition_id"] == [1, None, 0]
    assert columns["layer"] == ["conv1", None, "all"]
    assert columns["accepted"] == [True, None, False]
    assert columns["iou"][0::2] == [0.5, 0.25]
    assert math.isnan(columns["iou"][1])
    json_for_html(table)


@pytest.mark.parametrize(("num_levels", "num_bytes"), [(254, 1), (256, 2), (70_000, 4)])
def test_codes_are_as_wide_as_their_levels_need(num_levels: int, num_bytes: int) -> None:
    values = [*range(num_levels), None]
    column = encode_table(pd.DataFrame({"number": pd.array(values, dtype="Int64")}))["columns"]["number"]
    assert column["bytes"] == num_bytes
    assert decoded(column) == values


def test_bytes_are_little_endian_and_in_rows() -> None:
    assert base64.b64decode(encode_bytes(np.array([[1, 2], [3, 4]], dtype=">u2"))) == bytes([1, 0, 2, 0, 3, 0, 4, 0])
