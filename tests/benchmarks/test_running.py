"""The benchmarks themselves run: one short round of the way in, both servers and the generator in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_short_run_counts_every_push_and_shows_each_figure_beside_its_limit(tmp_path: Path) -> None:
    found = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "inbound", "--database", "sqlite", "--seconds", "0.2", "--rounds", "1", "--json", str(found)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    figures = {figure["name"]: figure for figure in json.loads(found.read_text(encoding="utf-8"))["figures"]}
    counted = [figure for name, figure in figures.items() if name.endswith("stored beside acknowledged")]
    assert len(counted) == 2
    assert all(figure["holds"] and figure["ours"][0] > 0 for figure in counted)
    rate = figures["inbound, sqlite, closed loop, 16 connections"]
    assert rate["ours"][0] > 0
    assert rate["limit"][0] > 0
    assert all(name in done.stdout for name in figures)
