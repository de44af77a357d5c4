"""Drift and labels on real images: Fashion-MNIST as it is, and the same images corrupted."""

import json
import sqlite3
import subprocess
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def images(fashion):
    def read(name):
        column = pq.read_table(fashion[name], columns=["image"]).column(0).combine_chunks()
        return np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, 1, 28, 28)

    return {name: read(name) for name in ("train", "test")}


def darker(images):
    return (images * 0.8).astype(np.uint8)


def flatter(images):
    return (images * 0.75 + 32).astype(np.uint8)


def noisy(images):
    noise = np.random.default_rng(0).normal(0, 60, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def windows(detector, rows, window):
    return [detector.update(rows[i : i + window]) for i in range(0, len(rows) - window + 1, window)]


def test_clean_images_raise_no_alarm_and_corrupted_ones_do_at_once(images):
    import strop

    detector = strop.watch.Mmd(images["train"][:2000], false_alarm_rows=1_000_000, window=200)
    clean = windows(detector, images["test"][:6000], 200)
    assert not any(verdict.drift for verdict in clean)
    for corrupt in (darker, flatter, noisy):
        first = detector.update(corrupt(images["test"][6000:6200]))
        assert first.drift, corrupt.__name__
        assert first.score > first.threshold
        assert first.evidence["p_value"] < 1e-4


def test_false_alarms_on_real_images_come_at_the_stated_rate(images):
    import strop

    order = np.random.default_rng(1).permutation(60_000)
    alarms = count = 0
    for reference in range(3):
        rows = images["train"][order[reference * 20_000 : (reference + 1) * 20_000]]
        detector = strop.watch.Mmd(rows[:2000], false_alarm_rows=1000, window=50, features=128, seed=reference)
        verdicts = windows(detector, rows[2000:], 50)
        alarms += sum(verdict.drift for verdict in verdicts)
        count += len(verdicts)
    expected = count / 20
    assert abs(alarms - expected) < 4 * np.sqrt(expected * 0.95) * 1.3  # windows of one reference share its luck


def test_update_gathers_rows_and_says_what_is_wrong(images):
    import strop

    detector = strop.watch.ActivationShift(images["train"][:500], window=100, features=64)
    assert detector.name == "activation"
    assert detector.update(images["test"][:40]).score == 0
    assert detector.update(images["test"][40:100]).score > 0
    with pytest.raises(ValueError, match=r"expected uint8 \[rows,1,28,28\]"):
        detector.update(np.zeros((4, 784), np.float32))
    with pytest.raises(ValueError, match="at least 200"):
        strop.watch.Mmd(images["train"][:20])
    assert json.loads(detector.update(images["test"][:100]).to_json())["evidence"]["window"] == 100


def test_select_takes_what_is_unsure():
    import strop

    probabilities = np.array([[0.98, 0.01, 0.01], [0.5, 0.5, 0.0], [0.4, 0.3, 0.3]], np.float32)
    assert strop.watch.select(probabilities, k=2) == [2, 1]
    assert strop.watch.select(probabilities, k=1, strategy="margin") == [1]
    assert sorted(strop.watch.select(probabilities, k=3, strategy="random", seed=4)) == [0, 1, 2]
    assert strop.watch.uncertainty(probabilities, "margin")[1] == pytest.approx(1)
    with pytest.raises(NotImplementedError, match="badge"):
        strop.watch.select(probabilities, k=1, strategy="badge")


def stream(images):
    meaning = {"strop.role": "input", "strop.dtype": "uint8", "strop.shape": "1,28,28"}
    values = pa.FixedSizeBinaryArray.from_buffers(pa.binary(784), len(images), [None, pa.py_buffer(images.tobytes())])
    return pa.table([values], schema=pa.schema([pa.field("image", pa.binary(784), nullable=False, metadata=meaning)]))


@pytest.fixture(scope="module")
def recorded(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    pq.write_table(stream(images["train"][:1000]), folder / "reference.parquet")
    mixed = np.concatenate([images["test"][:1000], darker(images["test"][1000:1600])])
    pq.write_table(stream(mixed), folder / "stream.parquet")
    return folder


def test_the_verb_names_the_windows_that_drift(strop_bin, recorded):
    command = [strop_bin / "strop-watch", recorded / "reference.parquet", recorded / "stream.parquet"]
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert [window["drift"] for window in report["windows"]] == [False] * 5 + [True] * 3
    assert report["first_alarm_row"] == 1000
    assert report["windows"][0]["column"] == "image"
    text = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout.splitlines()
    assert [line.split(":")[0] for line in text[:3]] == [
        "rows 1000 to 1199", "rows 1200 to 1399", "rows 1400 to 1599"]  # fmt: skip
    assert "3 alarms" in text[3]


def test_the_verb_watches_the_penultimate_activation_of_a_model(strop_bin, recorded, fashion):
    command = [strop_bin / "strop-watch", recorded / "reference.parquet", recorded / "stream.parquet",
               "--model", fashion["model"]]  # fmt: skip
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    drift = {"image": [], "activation": []}
    for window in json.loads(result.stdout)["windows"]:
        drift[window["column"]].append(window["drift"])
    assert drift["image"] == [False] * 5 + [True] * 3
    assert drift["activation"][:5] == [False] * 5


def label(strop_bin, *arguments):
    command = [strop_bin / "strop-label", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def store(tmp_path, strop_bin, images):
    """A store as a server leaves it: rows r0 to r19 captured, every second one to be labelled."""
    path = tmp_path / "strop.db"
    path.touch()
    assert label(strop_bin, "next", "--store", path).returncode == 0  # makes the tables
    with sqlite3.connect(path) as database:
        for i in range(20):
            sink = pa.BufferOutputStream()
            row = stream(images["test"][i : i + 1])
            with pa.ipc.new_stream(sink, row.schema) as writer:
                writer.write_table(row)
            blob = sink.getvalue().to_pybytes()
            database.execute("INSERT INTO captures VALUES (?, 'model', 1, ?, ?, ?, 0.5)", (f"r{i}", 1000.0 + i, blob, blob))
            if i % 2 == 0:
                reason = "uniform" if i < 10 else "uncertain"
                database.execute("INSERT INTO label_queue VALUES (?, ?, ?)", (f"r{i}", reason, 1000.0 + i))
    database.close()
    return path


def test_labels_go_out_come_back_and_join_their_rows(strop_bin, store, tmp_path, images):
    wanted = json.loads(label(strop_bin, "next", "--store", f"sqlite:///{store}", "--limit", 3, "--json").stdout)["wanted"]
    assert [wish["request_id"] for wish in wanted] == ["r18", "r16", "r14"]
    assert label(strop_bin, "next", tmp_path / "wanted.csv", "--store", store).returncode == 0
    lines = (tmp_path / "wanted.csv").read_text().splitlines()
    assert lines[0] == "request_id,reason"
    assert len(lines) == 11

    done = tmp_path / "done.csv"
    done.write_text("id,answer\n" + "".join(f"r{i},{i % 10}\n" for i in range(0, 20, 2)))
    for _ in range(2):  # an import may be repeated
        result = label(strop_bin, "import", done, "--store", store, "--key", "id", "--label", "answer")
        assert result.returncode == 0, result.stderr
        assert "10 labels" in result.stdout
    assert json.loads(label(strop_bin, "next", "--store", store, "--json").stdout)["wanted"] == []

    rows = tmp_path / "rows.parquet"
    report = json.loads(label(strop_bin, "export", rows, "--store", store, "--reason", "uniform", "--json").stdout)
    assert report["rows"] == 5
    table = pq.read_table(rows)
    assert table.column("label").to_pylist() == [0, 2, 4, 6, 8]
    assert table.column("request_id").to_pylist() == ["r0", "r2", "r4", "r6", "r8"]
    assert table.column("image")[1].as_py() == images["test"][2].tobytes()
    assert table.schema.field("image").metadata[b"strop.shape"] == b"1,28,28"
    assert table.schema.field("label").metadata[b"strop.role"] == b"label"
    late = label(strop_bin, "export", rows, "--store", store, "--since", 1010, "--label", "class", "--json")
    assert json.loads(late.stdout)["rows"] == 5
    assert "class" in pq.read_schema(rows).names


def test_wrong_label_files_change_nothing(strop_bin, store, tmp_path):
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("request_id,label\nr0,1\nnobody,2\n")
    empty = tmp_path / "empty.csv"
    empty.write_text("request_id,label\nr0,1\nr2,\n")
    for arguments, said in [
        (("import", unknown), "request nobody is not among the captured rows"),
        (("import", empty), "column label is missing in row 1"),
        (("import", unknown, "--key", "id"), "has no column id"),
        (("import", tmp_path / "none.csv"), "no such file"),
        (("export", tmp_path / "rows.parquet"), "no labelled rows"),
    ]:
        result = label(strop_bin, *arguments, "--store", store)
        assert result.returncode == 1
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    with sqlite3.connect(store) as database:
        assert database.execute("SELECT count(*) FROM labels").fetchone() == (0,)
    database.close()
    assert "no such store" in label(strop_bin, "next", "--store", tmp_path / "other.db").stderr
    assert not (tmp_path / "other.db").exists()
    assert label(strop_bin, "export", "a.parquet", "--store", store, "--reason", "all").returncode == 2
    assert label(strop_bin).returncode == 2


def test_the_verb_finds_the_store_and_label_of_a_project(strop_bin, tmp_path, store):
    (tmp_path / ".strop").mkdir()
    store.rename(tmp_path / ".strop" / "strop.db")
    (tmp_path / "strop.toml").write_text('[data]\ntrain = "train.parquet"\nlabel = "kind"\n')
    done = tmp_path / "done.csv"
    done.write_text("request_id,kind\nr1,boot\n")
    project = tmp_path / "strop.toml"
    assert label(strop_bin, "import", done, "--project", project).returncode == 0
    assert label(strop_bin, "export", tmp_path / "rows.parquet", "--project", project).returncode == 0
    assert pq.read_table(tmp_path / "rows.parquet").column("kind").to_pylist() == ["boot"]


def test_an_update_is_quick(images):
    """A window of 200 images is judged off the request path; two cores must keep up with thousands of rows a second."""
    import strop

    detector = strop.watch.Mmd(images["train"][:1000])
    detector.update(images["test"][:200])
    begin = time.process_time()
    for i in range(10):
        detector.update(images["test"][i * 200 : (i + 1) * 200])
    assert (time.process_time() - begin) / 2000 < 1e-3  # seconds of CPU a row
