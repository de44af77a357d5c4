"""Each claim's record is whole, and a sabotaged claim does not hold: a measurement that cannot fail says nothing."""

import json
import os
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT

FIELDS = {"claim", "title", "metric", "unit", "ours", "baseline", "baseline_name", "ratio", "interval", "article", "goal", "holds",
          "n", "cpu", "isa", "threads", "commit"}


def claims(*arguments, code=0):
    done = subprocess.run([sys.executable, ROOT / "bench/claims/run.py", *arguments], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "STROP_BUILD": str(BUILD), "STROP_CLAIM_BLOCKS": "5"})
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()] if code == 0 else done.stderr


@pytest.mark.parametrize("name", ["1.3", "1.5"])
def test_a_sabotaged_claim_does_not_hold(fashion, name):
    (record,) = claims("--only", name, "--sabotage")
    assert record["holds"] is False and record["sabotage"] is True


def test_the_record_has_every_field():
    (record,) = claims("--only", "1.3")
    assert set(record) == FIELDS
    assert record["holds"] is True and record["ours"] == 0 and record["n"] > 500


def test_an_unknown_claim_is_named():
    assert "--only 9.9: expected some of 1.3, 1.5" in claims("--only", "9.9", code=2)
