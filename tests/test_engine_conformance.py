"""ONNX's own node tests on sessions, beside ONNX Runtime: no wrong answer, no crash, every refusal with a reason. And once
more with every input but the first a constant, as weights are, on the layers of own kernels.

Run as a program it is the child that does the work: `test_engine_conformance.py FILE [FIRST]` writes a JSON line a test.
"""

import collections
import copy
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import warnings
from pathlib import Path

import numpy as np

LEAST_SHARE = 0.95  # of what ONNX Runtime passes
# The answer is random: ONNX fixes its shape and type alone.
RANDOM = ("bernoulli*",)
# Expected values whose zeros are rounding noise of a float32 transform, larger than the tests' own tolerance of 1e-7.
# With constant keys one element of float16 falls to the neighbouring number.
NOISE = {"dft_inverse*": 1e-6, "attention_4d_causal_fp16*": 5e-4}


def all_cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(collect_testcases(None))


def short(name):
    return name.removeprefix("test_")


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(short(name), pattern) for pattern in patterns)


def as_array(value):
    import onnx

    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def difference(name, got, want, rtol, atol):
    """What is wrong with one output, or an empty string."""
    if isinstance(want, list):
        if not isinstance(got, list) or len(got) != len(want):
            return f"{len(want)} elements expected"
        return "; ".join(filter(None, (difference(name, g, w, rtol, atol) for g, w in zip(got, want))))
    if want is None:
        return "" if got is None else "nothing expected"
    got, want = np.asarray(got), np.asarray(as_array(want))
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)} instead of {want.dtype}{list(want.shape)}"
    if matches(name, RANDOM):
        return ""
    if want.dtype.kind in "OSU":
        return "" if (got == want).all() else "other strings"
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    atol = max([atol, *(noise for pattern, noise in NOISE.items() if matches(name, [pattern]))])
    with np.errstate(all="ignore"):
        close = np.isclose(got.astype(wide), want.astype(wide), rtol=rtol, atol=atol, equal_nan=True)
    return "" if close.all() else f"{(~close).sum()} of {want.size} elements differ"


def verdict(case, run):
    """"pass", "wrong: why" or "refused: message"; run(model bytes) answers a function of a test's inputs."""
    try:
        session = run(case.model.SerializeToString())
    except Exception as error:  # noqa: BLE001 the class is told
        return f"refused: {type(error).__name__}: {error}"
    for inputs, wanted in case.data_sets:
        try:
            got = session({value.name: as_array(array) for value, array in zip(case.model.graph.input, inputs)})
        except Exception as error:  # noqa: BLE001
            return f"failed: {type(error).__name__}: {error}"
        for value, want in zip(case.model.graph.output, wanted):
            if wrong := difference(case.name, got[value.name], want, case.rtol, case.atol):
                return f"wrong: {value.name}: {wrong}"
    return "pass"


def with_strop(model, prefer=""):
    import strop.engine

    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model)
        file.flush()
        session = strop.engine.Session(file.name, threads=1, prefer=prefer)
    return lambda inputs: session.run(inputs)


def with_weights(case):
    """The case with its inputs of numbers but the first as initializers; nothing where it has several data sets."""
    import onnx

    if len(case.data_sets) != 1 or len(case.data_sets[0][0]) < 2:
        return None
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, outputs = case.data_sets[0]
    kept = []
    for at, (value, array) in enumerate(zip(case.model.graph.input, inputs)):
        number = isinstance(array, (np.ndarray, onnx.TensorProto)) and as_array(array).dtype.kind not in "OSU"
        if at == 0 or not number:
            kept.append((value, array))
        elif isinstance(array, onnx.TensorProto):
            model.graph.initializer.append(array)
            model.graph.initializer[-1].name = value.name
        else:
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
    del model.graph.input[:]
    model.graph.input.extend(value for value, _ in kept)
    changed = copy.copy(case)
    changed.model, changed.data_sets = model, [([array for _, array in kept], outputs)]
    return changed


def own(case):
    """The verdict on layers of own kernels; "none" where the case has no weights."""
    changed = with_weights(case)
    return "none" if changed is None else verdict(changed, lambda model: with_strop(model, "strop"))


def with_onnxruntime(model):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs)))


def child(file, first):
    with open(file, "a", buffering=1) as out:
        for case in all_cases()[first:]:
            # Ahead of the answer, so that a crash is laid to the test that it happened in.
            out.write(json.dumps({"name": case.name}) + "\n")
            strop = verdict(case, with_strop)
            out.write(json.dumps({"name": case.name, "strop": strop, "own": own(case),
                                  "ort": verdict(case, with_onnxruntime)}) + "\n")


def run_all(file):
    """name -> {"strop", "ort"}. The child starts anew behind a test that killed it."""
    file.touch()
    results, crashed = {}, {}
    for _ in range(20):
        done = subprocess.run([sys.executable, __file__, file, str(len(results))], capture_output=True, text=True,
                              env=os.environ)
        begun = list(dict.fromkeys(json.loads(line)["name"] for line in file.read_text().splitlines()))
        results = {entry["name"]: entry for entry in map(json.loads, file.read_text().splitlines()) if "strop" in entry}
        results.update(crashed)
        if done.returncode == 0:
            return results
        assert begun and begun[-1] not in results, f"the child ended: {done.stderr[-2000:]}"
        crashed[begun[-1]] = {"name": begun[-1], "strop": f"crash: exit {done.returncode}", "own": "none", "ort": "unknown"}
        results.update(crashed)
    raise AssertionError(f"crashes: {sorted(crashed)}")


def kind(answer):
    return answer.split(":")[0]


def unexplained(results, reasons):
    """Refused tests without a reason, and patterns that no refused test matches."""
    refused = [name for name, result in results.items() if kind(result["strop"]) == "refused"]
    patterns = [pattern for entry in reasons for pattern in entry["tests"]]
    without = [f"{name}: {results[name]['strop'][:300]}" for name in refused if not matches(name, patterns)]
    stale = [pattern for pattern in patterns if not any(matches(name, [pattern]) for name in refused)]
    return without, stale


def test_onnx_node_tests_pass_or_are_refused_for_a_known_reason(tmp_path, capsys):
    results = run_all(tmp_path / "results.jsonl")
    counts = collections.Counter(kind(result["strop"]) for result in results.values())
    of_ort = [result for result in results.values() if result["ort"] == "pass"]
    passed = sum(result["strop"] == "pass" for result in of_ort)
    refused = sum(kind(result["strop"]) == "refused" for result in of_ort)
    with capsys.disabled():
        print(f"\nONNX node tests: {len(results)}, ONNX Runtime passes {len(of_ort)}; of these a session passes {passed} "
              f"({passed / len(of_ort):.1%}) and refuses {refused}; of all it passes {counts['pass']}, refuses "
              f"{counts['refused']}, answers {counts['wrong']} wrongly")
        weights = collections.Counter(kind(result["own"]) for result in results.values())
        print(f"With constant weights and own kernels {weights['pass']} pass, {weights['refused']} are refused")
    bad = [f"{name}: {r[way]}" for name, r in results.items() for way in ("strop", "own")
           if kind(r[way]) not in ("pass", "refused", "none")]
    assert not bad, "\n".join(bad)
    assert weights["pass"] > 800
    odd = [f"{name}: {r['strop']}" for name, r in results.items()
           if kind(r["strop"]) == "refused" and not r["strop"].startswith("refused: Unsupported")]
    assert not odd, "\n".join(odd)
    assert len(results) > 1800 and passed >= LEAST_SHARE * len(of_ort)
    reasons = tomllib.loads((Path(__file__).parent / "onnx_refusals.toml").read_text())["refusal"]
    without, stale = unexplained(results, reasons)
    assert not without, "refused for no reason of onnx_refusals.toml:\n" + "\n".join(without)
    assert not stale, f"stale patterns in onnx_refusals.toml: {stale}"


def test_a_changed_answer_or_a_stale_reason_would_be_found():
    want = np.array([1, 2, 3], np.float32)
    assert difference("test_add", want, want, 1e-3, 1e-7) == ""
    assert difference("test_add", want + np.float32(0.01), want, 1e-3, 1e-7) == "3 of 3 elements differ"
    assert "float64" in difference("test_add", want.astype(np.float64), want, 1e-3, 1e-7)
    assert "[1, 3]" in difference("test_add", want[None], want, 1e-3, 1e-7)
    assert difference("test_add", np.array([np.nan], np.float32), np.array([1], np.float32), 1e-3, 1e-7)
    results = {"test_a": {"strop": "refused: why"}, "test_b": {"strop": "pass"}}
    assert unexplained(results, [{"tests": ["b*"]}]) == (["test_a: refused: why"], ["b*"])
    assert unexplained(results, [{"tests": ["a"]}]) == ([], [])


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[2]))
