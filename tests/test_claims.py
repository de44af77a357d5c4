"""Each claim's record is whole, and a sabotaged claim does not hold: a measurement that cannot fail says nothing."""

import json
import os
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT

FIELDS = {"claim", "title", "metric", "unit", "ours", "baseline", "baseline_name", "ratio", "interval", "article", "goal", "holds",
          "n", "cpu", "isa", "threads", "commit"}


def claims(*arguments, code=0, guest="0"):
    done = subprocess.run([sys.executable, ROOT / "bench/claims/run.py", *arguments], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "STROP_BUILD": str(BUILD), "STROP_CLAIM_BLOCKS": "5", "STROP_CLAIM_QUICK": "1",
                               "STROP_CLAIM_GUEST": guest})
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()] if code == 0 else done.stderr


@pytest.mark.parametrize("name", ["1.2", "1.3", "1.4", "1.5", "2.1", *(pytest.param(name, marks=pytest.mark.slow)
                                                                       for name in ("2.2", "2.7"))])
def test_a_sabotaged_claim_does_not_hold(fashion, name):
    (record,) = claims("--only", name, "--sabotage")
    assert record["holds"] is False and record["sabotage"] is True


def test_the_record_has_every_field():
    (record,) = claims("--only", "1.3")
    assert set(record) == FIELDS | {"guest"}
    assert record["guest"] == "not run: STROP_CLAIM_GUEST=0"  # a claim says what it did not look at
    assert record["holds"] is True and record["ours"] == 0 and record["n"] > 500


def guest_record(*arguments):
    (record,) = claims("--only", "1.3", *arguments, guest="1")
    if isinstance(record["guest"], str) and record["guest"].startswith("not run"):
        pytest.skip(f"guest {record['guest']}")
    return record


@pytest.mark.slow
def test_in_a_guest_of_several_nodes_nothing_crosses(fashion):
    record = guest_record()
    bound, unbound = record["guest"]["bound"], record["guest"]["unbound"]
    assert record["holds"] is True and bound["pages_crossing"] == bound["reader_cpus_crossing"] == 0
    assert record["n"] > bound["pages"] > 50_000
    assert unbound["pages_crossing"] > 0 and unbound["reader_cpus_crossing"] > 0


@pytest.mark.slow
def test_a_guest_that_fails_does_not_count_as_a_pass(fashion, tmp_path, monkeypatch):
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text("#!/bin/sh\nexit 1\n")
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    record = guest_record()
    assert record["holds"] is False and record["guest"].startswith("failed: the guest ended with 1")


def test_an_unknown_claim_is_named():
    assert "--only 9.9: expected some of 1.2, 1.3, 1.4, 1.5" in claims("--only", "9.9", code=2)
