"""Price tables: the shipped one, the user's own, and what is wrong with them."""

from __future__ import annotations

import json
import re

import pytest

from roboyard.bench.costs import cost_per_million, costs
from roboyard.bench.prices import MachinePrice, load_prices
from roboyard.errors import ConfigError

CSV = """# mine
type,region,cores,on_demand,date,spot
small,here,4,0.40,2026-11-01,0.10
large,here,8,0.60,2026-11-01,
"""
ROWS = [
    {"type": "small", "region": "here", "cores": 4, "on_demand": 0.4, "date": "2026-11-01",
     "spot": 0.1},
    {"type": "large", "region": "here", "cores": 8, "on_demand": 0.6, "date": "2026-11-01"},
]  # fmt: skip


def test_every_shipped_price_has_a_date():
    table = load_prices()
    assert len(table.prices) > 20
    for row in table.prices:
        assert row.on_demand is None or row.date
        assert row.spot is None or row.spot_date
        assert row.vcpu is not None and row.vcpu in (row.cores, 2 * row.cores)
        assert row.spot is None or row.on_demand is None or row.spot < row.on_demand


def test_csv_yaml_and_json_say_the_same(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    (tmp_path / "a.yaml").write_text(f"prices: {json.dumps(ROWS)}")
    tables = [load_prices(tmp_path / name) for name in ("a.csv", "a.json", "a.yaml")]
    assert tables[0] == tables[1] == tables[2]
    assert tables[0].prices[1] == MachinePrice(**ROWS[1])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", r"a.csv: needs a header such as 'type,cores,on_demand,date' and at least"),
        ("a.csv", CSV + "huge,here,8\n", r"a.csv:5: has 3 values, but the header names 6 columns"),
        ("a.csv", CSV.replace("0.40", "cheap"), r"a.csv:3: .*on_demand: must be a number.*'cheap'"),
        (
            "a.csv",
            CSV.replace("0.40", "-1"),
            r"a.csv:3: .*on_demand: must be greater than 0; got -1",
        ),
        ("a.csv", CSV.replace("spot", "spott"), r"a.csv:3: .*spott.* 'spot'"),
        ("a.csv", CSV.replace("2026-11-01", "yesterday"), r"a.csv:3: .*date: .*such as 2026-11"),
        ("a.csv", "type,cores\nsmall,4\n", r"a.csv:2: .*has no price: give on_demand, spot"),
        ("a.csv", "type,cores,spot\nsmall,4,1\n", r"a.csv:2: .*has no spot_date"),
        ("a.csv", "type,cores,on_demand\nsmall,4,1\n", r"a.csv:2: .*has no date: say when"),
        ("a.yaml", "just text", r"a.yaml: must be a list of prices, such as \[\{type: c7a"),
        ("a.yaml", "prices: []", r"a.yaml:1: prices: .*at least 1"),
        ("a.yaml", "- {type: small, on_demand: 1, date: 2026-11-01}", r"a.yaml:1: .*cores"),
        ("a.json", "[{", r"a.json:1"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_prices(tmp_path / name)
    assert re.search(message, str(caught.value)), str(caught.value)


def test_a_table_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.csv: no such file"):
        load_prices(tmp_path / "nowhere.csv")


def test_costs_follow_the_model_and_come_cheapest_first():
    assert cost_per_million(0.36, 1000.0) == pytest.approx(0.1)
    small, large = (MachinePrice(**row) for row in ROWS)
    first, second = costs([large, small], steps_per_core_s=500.0)
    assert (first.machine, second.machine) == (small, large)
    assert first.steps_per_s == 2000.0
    assert first.spot == pytest.approx(0.1 / (2000 * 3600) * 1e6)
    assert first.on_demand == pytest.approx(4 * first.spot)
    assert second.spot is None
