"""strop.feed as users meet it: batches, order, resume, the service, and the verb."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import strop

pa = pytest.importorskip("pyarrow")
import pyarrow.flight as flight  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from feed_rows import GROUP, ROWS, flat, labels, make_table, open_numpy, write_rows  # noqa: E402


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("feed") / "train.parquet")


def test_an_epoch_has_every_row_with_its_own_values(rows):
    loader = open_numpy(rows, shuffle=True)
    assert len(loader) == 32 and loader.rows == ROWS and loader.columns == ["image", "label", "score"]
    seen = []
    for batch in loader:
        assert batch["image"].dtype == np.uint8 and batch["image"].shape[1:] == (3, 4)
        expected = (batch["label"][:, None] * 31 + np.arange(12) * 7).astype(np.uint8)
        assert np.array_equal(batch["image"].reshape(-1, 12), expected)
        assert np.array_equal(batch["score"], (batch["label"] / 2).astype(np.float32))
        seen += batch["label"].tolist()
    assert seen != sorted(seen) and sorted(seen) == list(range(ROWS))


def test_torch_tensors_share_aligned_pooled_memory(rows):
    torch = pytest.importorskip("torch")
    loader = strop.feed.Loader(rows, batch_size=32, shuffle=True)
    addresses = []
    for _ in range(10):
        for batch in loader:
            assert all(isinstance(tensor, torch.Tensor) and tensor.is_contiguous() for tensor in batch.values())
            assert all(tensor.data_ptr() % 64 == 0 for tensor in batch.values())
            addresses.append(batch["image"].data_ptr())
    # 320 batches lay in the few blocks that the pool goes round with, so no tensor was a copy.
    assert len(set(addresses)) < 80
    kept = next(iter(loader))["label"]
    values = kept.clone()
    del loader
    assert torch.equal(kept, values), "a tensor outlives its loader"


def test_formats_hold_the_same_rows(rows):
    reference = flat(open_numpy(rows, shuffle=True))
    for format in ("torch", "arrow", "dlpack"):
        loader = strop.feed.Loader(rows, batch_size=32, shuffle=True, format=format)
        if format == "arrow":
            batches = list(loader)
            assert isinstance(batches[0], pa.RecordBatch)
            assert batches[0].schema.field("image").metadata[b"strop.shape"] == b"3,4"
            got = [label for batch in batches for label in batch["label"].to_pylist()]
        elif format == "dlpack":
            got = [label for batch in loader for label in np.from_dlpack(batch["label"]).tolist()]
        else:
            got = [label for batch in loader for label in batch["label"].tolist()]
        assert got == reference, format


def test_the_order_does_not_depend_on_workers(rows):
    epochs = [[labels(loader), labels(loader)]
              for loader in (open_numpy(rows, shuffle=True, seed=3, workers=w, prefetch=p, window=4)
                             for w, p in ((1, "auto"), (2, 1), (6, 30)))]
    assert epochs[0] == epochs[1] == epochs[2]
    assert epochs[0][0] != epochs[0][1]


def test_ranks_take_equal_steps_from_the_environment(rows, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    parts = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        parts.append(labels(open_numpy(rows, shuffle=True)))
    assert [list(map(len, part)) for part in parts] == [list(map(len, parts[0]))] * 3
    everything = [label for part in parts for batch in part for label in batch]
    assert set(everything) == set(range(ROWS)) and len(everything) == 1002
    monkeypatch.setenv("RANK", "x")
    with pytest.raises(ValueError, match="RANK is 'x'"):
        open_numpy(rows)


def test_resume_in_the_middle_of_an_epoch_is_exact(rows):
    reference = open_numpy(rows, shuffle=True, seed=9)
    epochs = [labels(reference) for _ in range(3)]
    for stop in (0, 1, 17, 31, 32):
        loader = open_numpy(rows, shuffle=True, seed=9, workers=3)
        loader.set_epoch(1)
        iterator = iter(loader)
        for _ in range(stop):
            next(iterator)
        state = json.loads(json.dumps(loader.state_dict()))
        resumed = open_numpy(rows, shuffle=True, seed=9, workers=1)
        resumed.load_state_dict(state)
        resumed.set_epoch(1)  # as a training script does at the head of its epoch
        assert labels(resumed) == epochs[1][stop:]
        assert labels(resumed) == epochs[2]


def test_epochs_follow_each_other_also_when_one_is_left_early(rows):
    reference = open_numpy(rows, shuffle=True)
    epochs = [labels(reference) for _ in range(3)]
    loader = open_numpy(rows, shuffle=True)
    next(iter(loader))
    assert labels(loader) == epochs[1]
    loader.set_epoch(0)
    assert labels(loader) == epochs[0]
    first = iter(loader)
    next(first)
    iter(loader)
    with pytest.raises(strop.FailedPrecondition, match="newer iteration"):
        next(first)


def test_transforms_run_in_turn_on_the_batch(rows):
    loader = open_numpy(rows, transforms=[lambda b: {**b, "x": b["score"] * 2}, lambda b: {"y": b["x"] + 1}])
    assert np.array_equal(np.concatenate([batch["y"] for batch in loader]), np.arange(ROWS) + 1.0)


def test_named_transforms_run_in_the_readers_before_functions(rows):
    loader = open_numpy(rows, workers=2, transforms=[
        strop.feed.Transform("image", "normalise", scale=1 / 255, mean=0.5, std=0.25),
        strop.feed.Transform("name", "pad", length=8),
        lambda batch: {**batch, "double": batch["score"] * 2},
    ], columns=["image", "label", "score", "name"])
    for batch in loader:
        pixels = (batch["label"][:, None] * 31 + np.arange(12) * 7).astype(np.uint8).reshape(-1, 3, 4)
        assert batch["image"].dtype == np.float32
        assert np.allclose(batch["image"], (pixels / 255 - 0.5) / 0.25, atol=1e-5)
        assert [bytes(name).rstrip(b"\0").decode() for name in batch["name"]] == [f"row {i}" for i in batch["label"]]
        assert np.array_equal(batch["double"], batch["label"])
    for transforms, message in (
        ([lambda b: b, strop.feed.Transform("image", "cast", dtype="float32")], "comes after a function"),
        ([strop.feed.Transform("image", "rotate")], "rotate"),
        ([strop.feed.Transform("image", "cast", dtyp="float32")], "dtyp"),
        ([strop.feed.Transform("imgae", "cast", dtype="float32")], "imgae"),
        ([strop.feed.Transform("image", "cast", dtype=np.float32)], "numbers, texts"),
        ([3], "expected strop.feed.Transform or functions"),
    ):
        with pytest.raises(ValueError, match=message):
            open_numpy(rows, transforms=transforms)


def test_strings_come_padded_with_their_lengths(rows):
    loader = open_numpy(rows, columns=["name", "label"], shuffle=True)
    assert loader.columns == ["name", "name_length", "label"]
    for batch in loader:
        assert batch["name"].shape == (len(batch["label"]), batch["name_length"].max())
        assert [bytes(name[:n]).decode() for name, n in zip(batch["name"], batch["name_length"])] == [
            f"row {i}" for i in batch["label"]]


def test_a_mixture_gives_sources_by_weight(rows, tmp_path):
    other = tmp_path / "other.parquet"
    pq.write_table(make_table(200, first=5000), other, row_group_size=GROUP)
    loader = open_numpy([strop.feed.Source(rows, weight=3), strop.feed.Source([other], weight=1)], shuffle=True, seed=2)
    seen = np.array(flat(loader))
    assert len(seen) == loader.rows == 1200 and (seen >= 5000).sum() == 300
    first, second = (np.bincount(seen[seen >= 5000] - 5000, minlength=200), np.bincount(seen[seen < 5000], minlength=1000))
    assert first.min() == 1 and first.max() == 2 and second.max() == 1
    both = open_numpy([rows, other])  # a list of paths is one source, end to end
    assert flat(both) == [*range(1000), *range(5000, 5200)]
    with pytest.raises(ValueError, match="weight of .*other.parquet is 0"):
        open_numpy([strop.feed.Source(rows, weight=3), strop.feed.Source(other)])


def test_an_epoch_goes_on_with_another_number_of_ranks(rows):
    def part(world_size, state, batches, batch_size=32):
        given, states = [], []
        for rank in range(world_size):
            loader = open_numpy(rows, shuffle=True, seed=4, rank=rank, world_size=world_size, uneven="ragged",
                                batch_size=batch_size)
            if state:
                loader.load_state_dict(state)
            assert len(loader) * batch_size < ROWS / world_size + batch_size
            iterator = iter(loader)
            given += [label for _, batch in zip(range(batches), iterator) for label in batch["label"].tolist()]
            states.append(loader.state_dict())
        return given, states[0]

    first, state = part(4, None, 3)
    second, state = part(3, state, 2, batch_size=50)
    third, _ = part(2, state, 1000)
    assert len(first) == 384 and len(second) == 300
    assert sorted(first + second + third) == list(range(ROWS))


def test_images_are_decoded_and_resized_by_the_readers(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for number, (name, size) in enumerate((("cat/a.jpg", (40, 30)), ("cat/b.png", (20, 60)), ("dog/c.jpg", (33, 17)))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.new("RGB", size, (200, 10 * number, 50)).save(tmp_path / name)
    loader = open_numpy(tmp_path, batch_size=3, transforms=[
        strop.feed.Transform("image", "decode"), strop.feed.Transform("image", "resize", height=8, width=12)])
    batch = next(iter(loader))
    assert batch["image"].shape == (3, 3, 8, 12) and batch["label"].tolist() == [0, 0, 1]
    for number, pixels in enumerate(batch["image"]):
        assert np.abs(pixels.astype(int) - np.array([200, 10 * number, 50])[:, None, None]).max() <= 2


@pytest.mark.parametrize("text", ["label,score\n1,0.5\n2,1.5\n3,2\n", '{"label": 1, "score": 0.5}\n{"label": 2, "score": '
                                  '1.5}\n{"label": 3, "score": 2}\n'])
def test_text_files_are_read_as_they_lie(tmp_path, monkeypatch, text):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / ("rows.jsonl" if text[0] == "{" else "rows.csv")
    path.write_text(text)
    for _ in range(2):  # by a fresh index, then by the cached one
        batch = next(iter(open_numpy(path)))
        assert batch["label"].tolist() == [1, 2, 3] and batch["score"].tolist() == [0.5, 1.5, 2.0]


def test_ranks_of_ddp_agree_on_steps(fashion):
    example = Path(__file__).resolve().parent.parent / "examples" / "feed" / "ddp.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(example),
               str(fashion["test"]), "--batch-size", "300"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-20000:]
    assert "of each rank [(17, 17, 5000), (17, 17, 5000)]" in done.stdout


def test_the_plain_example_goes_on_where_it_stopped(fashion, tmp_path):
    example = Path(__file__).resolve().parent.parent / "examples" / "feed" / "plain.py"

    def run(epochs):
        return subprocess.run([sys.executable, str(example), str(fashion["test"]), "--epochs", str(epochs), "--checkpoint",
                               str(tmp_path / "run.pt")], capture_output=True, text=True, timeout=120)

    assert "epoch 0" in run(1).stdout
    done = run(2)
    assert done.returncode == 0, done.stderr
    assert "epoch 1" in done.stdout and "epoch 0" not in done.stdout


def test_columns_and_drop_last(rows):
    loader = open_numpy(rows, columns=["score"], drop_last=True, batch_size=300)
    batches = list(loader)
    assert len(loader) == len(batches) == 3 and all(set(b) == {"score"} and len(b["score"]) == 300 for b in batches)


def test_stats_name_what_bounds(rows):
    loader = open_numpy(rows)
    for _ in loader:
        time.sleep(0.002)
    stats = loader.stats()
    assert stats["rows"] == ROWS and stats["verdict"].split(" bounds")[0] in ("storage", "decode", "copy", "consumer")
    assert 0 <= stats["waiting_share"] <= 1 and stats["decode"]["p50"] <= stats["decode"]["p99"]


def test_traced_batches_are_saved_and_sent(rows, tmp_path, strop_bin):
    received = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    loader = open_numpy(rows, shuffle=True, trace=1.0)
    for _ in loader:
        time.sleep(0.001)
    loader.save_trace(tmp_path / "trace.json")
    events = [e for e in json.loads((tmp_path / "trace.json").read_text())["traceEvents"] if e["ph"] == "X"]
    assert {e["name"] for e in events} == {"read", "decode", "copy", "wait", "consume"}
    consumed = [e for e in events if e["name"] == "consume"]
    assert len(consumed) == len(loader) - 1 and all(e["dur"] >= 1000 for e in consumed)
    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        loader.send_trace(address + "/v1/traces")
        with pytest.raises(strop.Unavailable, match="answered 404"):
            loader.send_trace(address + "/elsewhere")
        run(strop_bin, "bench", rows, "--trace-share", 1, "--otlp", address + "/v1/traces")
        server.shutdown()
    spans = received[0][1]["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [r[0] for r in received] == ["/v1/traces", "/elsewhere", "/v1/traces"] and len(spans) == len(events)
    with pytest.raises(strop.Unavailable, match="does not answer"):
        loader.send_trace(address + "/v1/traces")
    with pytest.raises(ValueError, match="expected http://HOST"):
        loader.send_trace("ftp://x/y")
    with pytest.raises(ValueError, match="share of traced items is 2"):
        open_numpy(rows, trace=2)
    few = open_numpy(rows, trace=0)
    list(few)
    few.save_trace(tmp_path / "none.json")
    assert len(json.loads((tmp_path / "none.json").read_text())["traceEvents"]) == 1
    few.set_trace(1.0)
    list(few)
    few.save_trace(tmp_path / "all.json")
    assert len(json.loads((tmp_path / "all.json").read_text())["traceEvents"]) > len(few)
    with pytest.raises(ValueError, match="share of traced items is -1"):
        few.set_trace(-1)


def test_importing_loads_no_framework(rows):
    code = ("import sys, strop; loader = strop.feed.Loader(sys.argv[1], format='numpy'); next(iter(loader))\n"
            "assert not {'torch', 'pyarrow'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code, rows], check=True, timeout=60)


def test_a_service_gives_what_the_file_gives(rows):
    with strop.feed.serve(rows, "grpc://127.0.0.1:0") as service:
        assert service.location.startswith("grpc://127.0.0.1:") and not service.location.endswith(":0")
        options = dict(shuffle=True, seed=4, columns=["score", "label"])
        local, remote = open_numpy(rows, **options), open_numpy(service.location + "/train", **options)
        for _ in range(2):
            for a, b in zip(local, remote, strict=True):
                assert list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)
        state = local.state_dict()
        remote.load_state_dict(state)  # the same order, so the same state
        with pytest.raises(FileNotFoundError, match='no source "test"; served are: train'):
            open_numpy(service.location + "/test")
        with pytest.raises(ValueError, match="its columns: image, label, score"):
            open_numpy(service.location + "/train", columns=["name"])
    with pytest.raises(strop.Unavailable):
        open_numpy(service.location + "/train")


def test_any_flight_client_reads_the_service(rows):
    with strop.feed.serve({"a": rows}) as service:
        client = flight.connect(service.location)
        (info,) = list(client.list_flights())
        assert info.total_records == ROWS and info.descriptor.path == [b"a"]
        table = client.do_get(info.endpoints[0].ticket).read_all()
        assert table["label"].to_pylist() == list(range(ROWS))
        one = client.do_get(flight.Ticket(json.dumps({"source": "a", "chunk": 2, "columns": ["label"]}))).read_all()
        assert one["label"].to_pylist() == list(range(2 * GROUP, 3 * GROUP)) and one.num_columns == 1
        order = {"seed": 6, "epoch": 1, "shuffle": True, "batch_size": 32}
        ordered = client.do_get(flight.Ticket(json.dumps({"source": "a", "order": order}))).read_all()
        loader = open_numpy(rows, seed=6, shuffle=True)
        loader.set_epoch(1)
        assert ordered["label"].to_pylist() == flat(loader)
        with pytest.raises(Exception, match="not understood"):
            client.do_get(flight.Ticket(b"?")).read_all()


def test_two_services_do_not_take_one_port(rows):
    with strop.feed.serve(rows) as service, pytest.raises(strop.Unavailable, match="may be in use"):
        strop.feed.serve(rows, service.location)


def test_two_loaders_read_side_by_side(rows):
    results = {}

    def read(rank):
        results[rank] = flat(open_numpy(rows, shuffle=True, rank=rank, world_size=2))

    threads = [threading.Thread(target=read, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results[0] + results[1]) == list(range(ROWS))


def run(strop_bin, *arguments, code=0):
    result = subprocess.run([strop_bin / "strop-feed", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert result.returncode == code, result.stderr
    return result


def test_verb_convert_makes_rows_that_a_loader_reads(strop_bin, tmp_path):
    raw = make_table(100).set_column(0, "image", make_table(100)["image"].cast(pa.binary())).drop_columns(["name"])
    pq.write_table(raw, tmp_path / "raw.parquet")
    out = tmp_path / "data.parquet"
    result = run(strop_bin, "convert", tmp_path / "raw.parquet", out, "--shape", "image=3,4", "--dtype", "image=uint8",
                 "--role", "image=input", "--role", "label=label", "--split", "train=0.8,test=0.2", "--seed", 1, "--json")
    report = json.loads(result.stdout)
    assert report["rows"] == 100
    metadata = pq.read_schema(out).field("image").metadata
    assert metadata[b"strop.role"] == b"input" and metadata[b"strop.shape"] == b"3,4"
    parts = [flat(open_numpy(file)) for file in report["splits"].values()]
    assert sorted(parts[0] + parts[1]) == list(range(100))
    assert next(iter(open_numpy(out)))["image"].shape == (32, 3, 4)
    wrong = run(strop_bin, "convert", tmp_path / "raw.parquet", out, "--shape", "image=3,5", code=1)
    assert "column image has 12 bytes in row 0" in wrong.stderr and wrong.stderr.count("\n") == 1
    assert "its columns: image, label, score" in run(strop_bin, "convert", tmp_path / "raw.parquet", out, "--role",
                                                      "nope=input", code=1).stderr


def test_global_order_mixes_all_rows_of_a_converted_file(strop_bin, tmp_path, rows):
    arrow = tmp_path / "rows.arrow"
    run(strop_bin, "convert", rows, arrow, "--columns", "image,label,score", "--row-group-bytes", 2000)
    loader = open_numpy(arrow, shuffle=True, order="global", seed=2)
    first, second = flat(loader), flat(loader)
    assert sorted(first) == sorted(second) == list(range(ROWS)) and first != second
    assert loader.stats()["shuffle_quality"] == 1
    again = open_numpy(arrow, shuffle=True, order="global", seed=2, workers=3)
    assert flat(again) == first
    with pytest.raises(strop.Unsupported, match="strop feed convert IN OUT.arrow"):
        open_numpy(rows, shuffle=True, order="global")
    with pytest.raises(ValueError, match='order is "rows": expected one of block, global'):
        open_numpy(rows, shuffle=True, order="rows")
    assert "Arrow IPC is written plain" in run(strop_bin, "convert", rows, arrow, "--compression", "zstd", code=1).stderr


def test_nans_are_counted_where_a_batch_has_them(tmp_path, strop_bin):
    values = np.zeros((1000, 40), np.float32)
    values[3, 7] = values[999, 39] = np.nan
    table = pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 40), "y": np.where(np.arange(1000) < 5, np.nan, 1.0),
                      "n": np.arange(1000)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    for options in ({}, {"shuffle": True}, {"transforms": [strop.feed.Transform("x", "normalise", mean=1, std=2)]}):
        loader = open_numpy(tmp_path / "a.parquet", **options)
        read = [batch["x"] for batch in loader]
        assert sum(int(np.isnan(x).sum()) for x in read) == 2
        assert loader.stats()["nans"] == {"x": 2, "y": 5}, options
    half = open_numpy(tmp_path / "a.parquet", rank=0, world_size=2)
    list(half)
    assert half.stats()["nans"] == {"x": 1, "y": 5}  # of its own rows
    assert "column y holds 5 NaN" in run(strop_bin, "bench", tmp_path / "a.parquet", "--epochs", 1).stdout


def test_verb_bench_emulates_a_storage(strop_bin, rows):
    slow = json.loads(run(strop_bin, "bench", rows, "--latency", 20, "--workers", 1, "--epochs", 1, "--json").stdout)
    fast = json.loads(run(strop_bin, "bench", rows, "--workers", 1, "--epochs", 1, "--json").stdout)
    assert slow["rows"] == fast["rows"] == ROWS
    assert slow["read"]["p50"] >= 0.02 > fast["read"]["p50"]
    timed = json.loads(run(strop_bin, "bench", rows, "--warm-up", 0.05, "--seconds", 0.2, "--json").stdout)
    assert 0.2 <= timed["seconds"] < 5 and timed["rows"] > ROWS


def test_verb_bench_and_probe_report(strop_bin, rows):
    bench = json.loads(run(strop_bin, "bench", rows, "--shuffle", "--epochs", 2, "--json").stdout)
    assert bench["rows"] == 2 * ROWS and bench["rows_per_second"] > 0 and " bounds: " in bench["verdict"]
    assert "p95" in run(strop_bin, "bench", rows).stdout
    probe = json.loads(run(strop_bin, "probe", rows, "--seconds", 0.05, "--json").stdout)
    assert [level["readers"] for level in probe["levels"]][:2] == [1, 2]
    assert probe["knee"] in [level["readers"] for level in probe["levels"]]
    assert probe["scaling"]["lambda"] > 0 and probe["reason"]
    assert len(probe["placement"]["readers"]) == probe["knee"] and probe["placement"]["crossing"] == 0
    assert all(256 << 10 <= reader["chunk_bytes"] <= 8 << 20 for reader in probe["placement"]["readers"])
    assert run(strop_bin, code=2).stderr


def test_verb_serve_serves_until_it_is_interrupted(strop_bin, rows):
    process = subprocess.Popen([strop_bin / "strop-feed", "serve", f"mine={rows}", "--at", "grpc://127.0.0.1:0", "--json"],
                               stdout=subprocess.PIPE, text=True)
    try:
        location = json.loads(process.stdout.readline())["location"]
        assert flat(open_numpy(location + "/mine")) == list(range(ROWS))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) in (0, 130)
