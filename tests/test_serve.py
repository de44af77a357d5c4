"""strop serve as a client, an operator and an attacker meet it: a real server, real Fashion-MNIST images."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import numpy as np
import onnx
import onnxruntime
import pyarrow.parquet as parquet
import pytest
import tritonclient.http as triton
from onnx import TensorProto, helper, numpy_helper


def make_model(path, seed):
    """The demo's network with random weights: what is served does not matter here, that it is served right does."""
    rng = np.random.default_rng(seed)

    def weight(name, *shape):
        fan_in = int(np.prod(shape[1:]))
        return numpy_helper.from_array((rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32), name)

    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "scale"], ["x"]),
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("MaxPool", ["r2"], ["p2"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p2"], ["v"]),
        helper.make_node("Gemm", ["v", "w3", "b3"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "w4", "b4"], ["logits"], transB=1),
    ]
    initializers = [
        numpy_helper.from_array(np.array(255, np.float32), "scale"),
        weight("w1", 8, 1, 3, 3), weight("b1", 8), weight("w2", 16, 8, 3, 3), weight("b2", 16),
        weight("w3", 64, 784), weight("b3", 64), weight("w4", 10, 64), weight("b4", 10),
    ]
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [make_model(folder / f"m{i}.onnx", seed=i) for i in range(3)]


@pytest.fixture(scope="module")
def images(fashion):
    column = parquet.read_table(fashion["test"], columns=["image"]).column("image").combine_chunks()
    data = np.frombuffer(column.buffers()[1], np.uint8)
    return data.reshape(-1, 1, 28, 28)


@pytest.fixture(scope="module")
def expected(models, images):
    """Logits of the first 64 images by ONNX Runtime, a row a model."""
    return [onnxruntime.InferenceSession(m, providers=["CPUExecutionProvider"]).run(None, {"image": images[:64]})[0]
            for m in models]


class Running:
    """A strop-serve process, and the little of HTTP that the tests need."""

    def __init__(self, strop_bin, *arguments):
        self.process = subprocess.Popen([strop_bin / "strop-serve", "--json", "--http", "127.0.0.1:0", *map(str, arguments)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"strop-serve ended with {self.process.wait()}: {self.process.stderr.read()}")
        self.ready = json.loads(line)
        self.host, port = self.ready["http"].rsplit(":", 1)
        self.port = int(port)

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            text = response.read()
            return response.status, (json.loads(text) if text and "json" in response.headers["Content-Type"] else text)
        finally:
            connection.close()

    def infer(self, image, name="m", request_id=None):
        shape = list(image.shape)
        body = {"inputs": [{"name": "image", "shape": shape, "datatype": "UINT8", "data": image.ravel().tolist()}]}
        if request_id:
            body["id"] = request_id
        status, answer = self.ask("POST", f"/v2/models/{name}/infer", body)
        assert status == 200, answer
        return answer

    def raw(self, data, timeout=10):
        """Sends bytes, answers all that comes back until the server closes or the time is up."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as s:
            s.sendall(data)
            out = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while chunk := s.recv(65536):
                    out += chunk
            return out

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture(scope="module")
def server(strop_bin, models):
    with Running(strop_bin, f"m={models[0]}") as running:
        yield running


@pytest.fixture
def stored(strop_bin, models, tmp_path):
    with Running(strop_bin, f"m={models[0]}", "--store", tmp_path / "s.db", "--directory", tmp_path,
                 "--control", tmp_path / "c.sock") as running:
        yield running


def control(path, request):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(path))
        s.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(s.makefile("rb").readline())


# ---- the protocol, by hand and by tritonclient


def test_health_and_metadata(server):
    assert server.ask("GET", "/v2/health/live") == (200, {"live": True, "ready": True})
    assert server.ask("GET", "/v2/health/ready") == (200, {"live": True, "ready": True})
    status, metadata = server.ask("GET", "/v2")
    assert status == 200 and metadata["name"] == "strop" and "binary_tensor_data" in metadata["extensions"]
    for address in ("/v2/models/m", "/v2/models/m/versions/1"):
        assert server.ask("GET", address) == (200, {
            "name": "m", "versions": ["1"], "platform": "onnx",
            "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 1, 28, 28]}],
            "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 10]}]})
        assert server.ask("GET", address + "/ready")[0] == 200
        assert server.ask("GET", address + "/stats")[1]["model_stats"][0]["name"] == "m"
    assert server.ask("HEAD", "/v2/health/live")[0] == 200


def test_json_inference_equals_onnx_runtime(server, images, expected):
    answer = server.infer(images[:5], request_id="five")
    assert answer["id"] == "five" and answer["model_name"] == "m" and answer["model_version"] == "1"
    output = answer["outputs"][0]
    assert (output["name"], output["datatype"], output["shape"]) == ("logits", "FP32", [5, 10])
    np.testing.assert_allclose(np.reshape(output["data"], (5, 10)), expected[0][:5], rtol=1e-4, atol=1e-4)


def test_inference_equals_the_engine(server, strop_bin, models, images, tmp_path):
    import pyarrow as pa

    field = pa.field("image", pa.binary(784), metadata={"strop.role": "input", "strop.dtype": "uint8", "strop.shape": "1,28,28"})
    rows = pa.table([pa.array([i.tobytes() for i in images[:16]], pa.binary(784))], schema=pa.schema([field]))
    parquet.write_table(rows, tmp_path / "in.parquet")
    subprocess.run([strop_bin / "strop-infer", models[0], "--data", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet"],
                   check=True, capture_output=True)
    rows = parquet.read_table(tmp_path / "out.parquet").column("logits").to_pylist()
    engine = np.frombuffer(b"".join(rows), np.float32).reshape(16, 10)
    served = np.reshape(server.infer(images[:16])["outputs"][0]["data"], (16, 10)).astype(np.float32)
    np.testing.assert_allclose(served, engine, rtol=1e-5, atol=1e-5)


def test_a_request_without_id_gets_one(server, images):
    first, second = (server.infer(images[:1])["id"] for _ in range(2))
    assert first and second and first != second


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_tritonclient(server, images, expected, binary_in, binary_out):
    client = triton.InferenceServerClient(f"{server.host}:{server.port}")
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("m") and client.is_model_ready("m", "1")
    assert not client.is_model_ready("m", "9")
    assert client.get_server_metadata()["name"] == "strop"
    assert client.get_model_metadata("m")["inputs"][0]["shape"] == [-1, 1, 28, 28]
    assert client.get_model_config("m")["input"][0]["data_type"] == "TYPE_UINT8"
    assert client.get_model_repository_index() == [{"name": "m", "version": "1", "state": "READY", "reason": ""}]
    given = triton.InferInput("image", [8, 1, 28, 28], "UINT8")
    given.set_data_from_numpy(images[:8], binary_data=binary_in)
    wanted = None if binary_out is None else [triton.InferRequestedOutput("logits", binary_data=binary_out)]
    result = client.infer("m", [given], outputs=wanted, request_id="abc")
    assert result.get_response()["id"] == "abc"
    logits = result.as_numpy("logits")
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected[0][:8], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(logits.argmax(1), expected[0][:8].argmax(1))
    assert client.get_inference_statistics("m")["model_stats"][0]["inference_stats"]["success"]["count"] > 0
    with pytest.raises(triton.InferenceServerException, match="no input"):
        wrong = triton.InferInput("picture", [1, 1, 28, 28], "UINT8")
        wrong.set_data_from_numpy(images[:1])
        client.infer("m", [wrong])
    client.close()


def test_concurrent_tritonclients(server, images, expected):
    client = triton.InferenceServerClient(f"{server.host}:{server.port}", concurrency=8)

    def given(i):
        tensor = triton.InferInput("image", [1, 1, 28, 28], "UINT8")
        tensor.set_data_from_numpy(images[i:i + 1])
        return [tensor]

    pending = [client.async_infer("m", given(i)) for i in range(64)]
    for i, request in enumerate(pending):
        np.testing.assert_allclose(request.get_result().as_numpy("logits")[0], expected[0][i], rtol=1e-4, atol=1e-4)
    client.close()


def test_metrics_are_prometheus_text(server, images):
    server.infer(images[:1])
    status, text = server.ask("GET", "/metrics")
    lines = text.decode().splitlines()
    values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and not line.startswith("#")}
    assert status == 200
    count = values['strop_serve_inferences_total{model="m"}']
    assert count >= 1
    assert values['nv_inference_request_success{model="m",version="1"}'] == count
    assert values['strop_serve_inference_seconds_count{model="m"}'] == count
    assert "# TYPE strop_serve_inferences_total counter" in lines


# ---- bad input


def good(**changes):
    entry = {"name": "image", "shape": [1, 1, 28, 28], "datatype": "UINT8", "data": [0] * 784, **changes}
    return {"inputs": [{k: v for k, v in entry.items() if v is not None}]}


@pytest.mark.parametrize("method,path,body,status,part", [
    ("POST", "/v2/models/nobody/infer", good(), 404, "there is m"),
    ("GET", "/v2/models/nobody", None, 404, "nobody"),
    ("GET", "/v2/models/m/versions/7", None, 404, "serves version 1"),
    ("POST", "/v2/models/m/versions/7/infer", good(), 404, "serves version 1"),
    ("GET", "/nowhere", None, 404, "/nowhere"),
    ("GET", "/v2/models/m/infer/more", None, 404, "nothing answers"),
    ("GET", "/v2/models/m/infer", None, 405, "use POST"),
    ("DELETE", "/v2/models/m", None, 405, "use GET"),
    ("POST", "/metrics", "", 405, "use GET"),
    ("POST", "/v2/models/m/infer", good(datatype="FP32"), 400, "expected UINT8"),
    ("POST", "/v2/models/m/infer", good(datatype="BYTES"), 400, "BYTES"),
    ("POST", "/v2/models/m/infer", good(shape=[1, 28, 28]), 400, "expected [?,1,28,28]"),
    ("POST", "/v2/models/m/infer", good(shape=[2, 1, 28, 28]), 400, "784 elements"),
    ("POST", "/v2/models/m/infer", good(name="x"), 400, "it takes image"),
    ("POST", "/v2/models/m/infer", good(data=[0] * 783 + [300]), 400, "300"),
    ("POST", "/v2/models/m/infer", good(data=None), 400, "binary_data_size"),
    ("POST", "/v2/models/m/infer", "{nonsense", 400, "not JSON"),
    ("POST", "/v2/models/m/infer", "", 400, "not JSON"),
    ("POST", "/v2/models/m/infer", {**good(), "outputs": [{"name": "y"}]}, 400, "it gives logits"),
    ("POST", "/v2/repository/models/nobody/load", None, 404, "never loaded"),
    ("POST", "/strop/v1/labels", {"request_id": "a", "label": 1}, 409, "needs a store"),
    ("GET", "/v2/%zz", None, 400, "percent"),
])
def test_bad_requests(server, method, path, body, status, part):
    got, answer = server.ask(method, path, body)
    assert (got, list(answer)) == (status, ["error"])
    assert part in answer["error"] and "\n" not in answer["error"]


def test_bad_header_lengths(server):
    for length, part in (("x", "number"), ("99999999", "bytes")):
        status, answer = server.ask("POST", "/v2/models/m/infer", good(), {"Inference-Header-Content-Length": length})
        assert status == 400 and part in answer["error"]
    assert server.ask("POST", "/v2/models/m/infer", b"xx", {"Content-Encoding": "gzip"})[0] == 415


def test_a_body_too_large_is_413(server):
    head = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
    answer = server.raw(head + b"x" * 100_000)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"67108864" in answer


def test_headers_too_long_are_431(server):
    answer = server.raw(b"GET /v2 HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 100_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_starting_wrong(strop_bin, server, models, tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"this is no model")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(models[0].read_bytes()[:20_000])
    taken = f"{server.host}:{server.port}"
    for arguments, status, parts in [
        ([models[0], "--http", taken], 1, ["in use", str(server.port)]),
        ([bad], 1, ["bad.onnx", "ONNX model"]),
        ([cut], 1, ["cut.onnx", "ONNX model"]),
        ([tmp_path / "none.onnx"], 1, ["none.onnx"]),
        ([], 1, ["no model to serve"]),
        ([models[0], "--grpc", "127.0.0.1:0"], 1, ["gRPC is not served"]),
        ([models[0], "--http", "nowhere"], 1, ["HOST:PORT"]),
        ([models[0], "--http", "127.0.0.1:99999"], 1, ["HOST:PORT"]),
        ([models[0], "--model", "x"], 1, ["NAME=PATH"]),
        ([models[0], "--reference", "r.parquet"], 1, ["--store"]),
        ([models[0], "--capture", "2"], 2, ["--capture"]),
        ([tmp_path / "strop.toml"], 1, ["strop.toml"]),
    ]:
        if "--http" not in arguments:
            arguments = [*arguments, "--http", "127.0.0.1:0"]
        run = subprocess.run([strop_bin / "strop-serve", *map(str, arguments)], capture_output=True, text=True, timeout=30)
        assert run.returncode == status, (arguments, run)
        assert run.stderr.startswith("strop serve: ") and run.stderr.count("\n") == 1, run.stderr
        for part in parts:
            assert part in run.stderr, (arguments, run.stderr)


# ---- connections


def test_pipelined_requests_are_answered_in_order(server):
    text = b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in (b"/v2", b"/v2/models/m", b"/v2/health/live"))
    answer = server.raw(text + b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 3 and answer.count(b"HTTP/1.1 404 ") == 1
    assert answer.index(b'"extensions"') < answer.index(b'"versions"') < answer.index(b'"live"') < answer.index(b"404")


def test_expect_continue(server):
    body = json.dumps(good()).encode()
    with socket.create_connection((server.host, server.port), timeout=10) as s:
        s.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert s.recv(100).startswith(b"HTTP/1.1 100 Continue")
        s.sendall(body)
        assert s.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_many_connections_at_once(server, images, expected):
    body = json.dumps(good(data=images[0].ravel().tolist())).encode()
    request = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection((server.host, server.port), timeout=30)) for _ in range(500)]
        for s in sockets:
            s.sendall(request)
        for s in sockets:
            response = http.client.HTTPResponse(s)
            response.begin()
            assert response.status == 200
            data = json.loads(response.read())["outputs"][0]["data"]
            np.testing.assert_allclose(data, expected[0][0], rtol=1e-4, atol=1e-4)


def test_slow_clients_do_not_hold_others(server, images):
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            s = stack.enter_context(socket.create_connection((server.host, server.port)))
            s.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n{")
        began = time.monotonic()
        server.infer(images[:1])
        assert time.monotonic() - began < 2


def test_connections_beyond_the_limit_are_refused(strop_bin, models):
    with Running(strop_bin, f"m={models[0]}", "--max-connections", 3) as server, contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection((server.host, server.port), timeout=10)) for _ in range(3)]
        for s in held:
            s.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(20).startswith(b"HTTP/1.1 200")
        assert b" 503 " in server.raw(b"")
        held[0].close()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError, http.client.HTTPException):
                if server.ask("GET", "/v2")[0] == 200:
                    return
            time.sleep(0.05)
        raise AssertionError("a freed connection was not given out again")


def test_malformed_http_does_not_end_the_server(server, images):
    rng = random.Random(0)
    body = json.dumps(good()).encode()
    whole = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    seeds = [whole, b"GET /v2/models/m HTTP/1.1\r\nHost: x\r\n\r\n",
             b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
             b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 100,
             b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    for _ in range(300):
        data = bytearray(rng.choice(seeds)[:2000])
        for _ in range(rng.randint(0, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            data = data[:rng.randrange(len(data))]
        with socket.create_connection((server.host, server.port), timeout=5) as s:
            with contextlib.suppress(OSError):
                s.sendall(bytes(data))
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
    for bad in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n"):
        assert server.raw(bad).startswith(b"HTTP/1.1 400 ")
    assert server.process.poll() is None
    server.infer(images[:1])


def test_sigterm_finishes_requests_in_hand(strop_bin, models, images):
    with Running(strop_bin, f"m={models[0]}") as server:
        body = json.dumps(good(shape=[2000, 1, 28, 28], data=images[:2000].ravel().tolist())).encode()
        with socket.create_connection((server.host, server.port), timeout=30) as s:
            s.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
            response = http.client.HTTPResponse(s)
            response.begin()
            assert response.status == 200
            assert len(json.loads(response.read())["outputs"][0]["data"]) == 20_000
        assert server.process.wait(20) == 0
        with pytest.raises(ConnectionRefusedError):
            server.ask("GET", "/v2")


# ---- swaps


def test_swaps_under_load_fail_no_request(strop_bin, models, images, expected, tmp_path):
    sock = tmp_path / "c.sock"
    with Running(strop_bin, f"m={models[0]}", "--control", sock) as server:
        over = threading.Event()

        def client(number):
            connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
            versions = []
            while not over.is_set():
                i = (number * 7 + len(versions)) % 64
                connection.request("POST", "/v2/models/m/infer", json.dumps(good(data=images[i].ravel().tolist())))
                response = connection.getresponse()
                answer = json.loads(response.read())
                assert response.status == 200, answer
                version = int(answer["model_version"])
                # The answer is that of the version it names.
                np.testing.assert_allclose(answer["outputs"][0]["data"], expected[(version - 1) % 3][i], rtol=1e-4, atol=1e-4)
                versions.append(version)
            return versions

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            clients = [pool.submit(client, i) for i in range(8)]
            try:
                for swap in range(1, 13):
                    assert control(sock, {"load": {"name": "m", "path": str(models[swap % 3])}}) == {"ok": True, "version": swap + 1}
            finally:
                over.set()
            seen = [c.result() for c in clients]
        assert all(versions == sorted(versions) for versions in seen), "a client went back to an older version"
        assert sum(map(len, seen)) > 100
        assert len(set().union(*seen)) >= 6
        assert int(server.infer(images[:1])["model_version"]) == 13


def test_a_swap_that_fails_leaves_the_old_model(stored, models, images, tmp_path):
    sock = tmp_path / "c.sock"
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    for request, code, part in [
        ({"load": {"name": "m", "path": str(bad)}}, "corrupt", "ONNX model"),
        ({"load": {"name": "m", "path": str(tmp_path / "none.onnx")}}, "not_found", "none.onnx"),
        ({"load": {"name": "no/name", "path": str(models[1])}}, "invalid_argument", "no/name"),
        ({"load": {"name": "m"}}, "invalid_argument", "path"),
        ({"jump": {}}, "invalid_argument", "jump"),
        ([], "invalid_argument", "load"),
    ]:
        answer = control(sock, request)
        assert answer["error"] == code and part in answer["message"], answer
    assert stored.infer(images[:1])["model_version"] == "1"
    assert control(sock, {"status": {}})["pid"] == stored.process.pid


def test_kill_9_comes_back_with_the_champion(strop_bin, models, images, expected, tmp_path):
    champion = tmp_path / "champion.onnx"
    champion.write_bytes(models[1].read_bytes())
    arguments = [f"m={models[0]}", "--store", tmp_path / "s.db", "--directory", tmp_path, "--control", tmp_path / "c.sock"]
    with Running(strop_bin, *arguments) as server:
        assert control(tmp_path / "c.sock", {"load": {"name": "m", "path": str(champion)}})["version"] == 2
        assert control(tmp_path / "c.sock", {"load": {"name": "other", "path": str(models[2])}})["version"] == 1
        server.stop(signal.SIGKILL)
    champion.unlink()  # the kept copy serves
    with Running(strop_bin, *arguments) as server:
        answer = server.infer(images[:1])
        assert answer["model_version"] == "2"
        np.testing.assert_allclose(answer["outputs"][0]["data"], expected[1][0], rtol=1e-4, atol=1e-4)
        assert server.infer(images[:1], name="other")["model_version"] == "1"
        assert control(tmp_path / "c.sock", {"load": {"name": "m", "path": str(models[2])}})["version"] == 3
        assert server.stop() == 0


def test_load_and_unload_over_http_last(strop_bin, models, images, tmp_path):
    arguments = [f"m={models[0]}", "--store", tmp_path / "s.db"]
    client_of = lambda s: triton.InferenceServerClient(f"{s.host}:{s.port}")  # noqa: E731
    with Running(strop_bin, *arguments) as server:
        client_of(server).load_model("m")
        assert server.infer(images[:1])["model_version"] == "2"
        client_of(server).unload_model("m")
        status, answer = server.ask("POST", "/v2/models/m/infer", good())
        assert status == 503 and "load brings it back" in answer["error"]
        assert server.ask("POST", "/v2/repository/index")[1][0]["state"] == "UNAVAILABLE"
        server.stop(signal.SIGKILL)
    with Running(strop_bin, *arguments) as server:
        assert server.ask("GET", "/v2/models/m/ready")[0] == 503
        client_of(server).load_model("m")
        assert server.infer(images[:1])["model_version"] == "3"


# ---- captures, labels, candidates


def test_captures_and_labels_come_back(stored, strop_bin, images, tmp_path):
    ids = [stored.infer(images[i:i + 1])["id"] for i in range(30)] + [stored.infer(images[30:31], request_id="mine")["id"]]
    assert ids[-1] == "mine"
    assert stored.ask("POST", "/strop/v1/labels", {"request_id": ids[0], "label": 3}) == (200, {"labelled": 1})
    labels = [{"request_id": i, "label": k % 10} for k, i in enumerate(ids) if k > 0]
    assert stored.ask("POST", "/strop/v1/labels", labels) == (200, {"labelled": 30})
    database = sqlite3.connect(tmp_path / "s.db")
    assert {i for i, in database.execute("SELECT request_id FROM captures")} == set(ids)
    assert dict(database.execute("SELECT request_id, label FROM labels"))[ids[0]] == 3
    assert database.execute("SELECT min(uncertainty), max(uncertainty) FROM captures").fetchone()[1] <= 1
    status = stored.ask("GET", "/strop/v1/status")[1]
    assert status["captures"] == 31 and status["captures_dropped"] == 0 and status["version"] == 1
    subprocess.run([strop_bin / "strop-label", "export", tmp_path / "l.parquet", "--store", tmp_path / "s.db"], check=True)
    table = parquet.read_table(tmp_path / "l.parquet").to_pydict()
    kept = dict(zip(table["request_id"], zip(table["image"], table["label"])))
    assert len(kept) == 31 and kept["mine"][1] == 30 % 10
    assert np.array_equal(np.frombuffer(kept["mine"][0], np.uint8), images[30].ravel())


def test_a_batch_is_captured_row_by_row(stored, images, tmp_path):
    request_id = stored.infer(images[:3], request_id="b")["id"]
    assert stored.ask("POST", "/strop/v1/labels", [{"request_id": f"{request_id}/{i}", "label": i} for i in range(3)])[0] == 200
    with sqlite3.connect(tmp_path / "s.db") as database:
        assert sorted(i for i, in database.execute("SELECT request_id FROM captures")) == ["b/0", "b/1", "b/2"]


@pytest.mark.parametrize("body,status,part", [
    ({"request_id": "unknown", "label": 1}, 404, "unknown"),
    ([{"request_id": "known", "label": 1}, {"request_id": "unknown", "label": 1}], 404, "unknown"),
    ({"request_id": "known"}, 400, "label"),
    ({"label": 1}, 400, "request_id"),
    ({"request_id": "known", "label": None}, 400, "neither"),
    ({"request_id": "known", "label": [1]}, 400, "neither"),
    ("{", 400, "not JSON"),
    ("7", 400, "request_id"),
])
def test_bad_labels(stored, images, tmp_path, body, status, part):
    stored.infer(images[:1], request_id="known")
    got, answer = stored.ask("POST", "/strop/v1/labels", body)
    assert got == status and part in answer["error"]
    with sqlite3.connect(tmp_path / "s.db") as database:
        assert database.execute("SELECT count(*) FROM labels").fetchone() == (0,)


def test_wanted_labels_are_a_uniform_share_and_the_most_uncertain(stored, images):
    ids = [stored.infer(images[i:i + 1])["id"] for i in range(400)]
    status, wanted = stored.ask("GET", "/strop/v1/labels/wanted?limit=1000")
    assert status == 200 and {w["request_id"] for w in wanted} <= set(ids)
    uniform = {w["request_id"] for w in wanted if w["reason"] == "uniform"}
    uncertain = {w["request_id"] for w in wanted if w["reason"] == "uncertain"}
    assert 15 <= len(uniform) <= 70      # a tenth of 400; five standard deviations of the binomial
    assert 40 <= len(uncertain) <= 80    # a fifth of two windows of 200, less those drawn uniformly
    assert stored.ask("GET", "/strop/v1/labels/wanted?limit=3")[1] == wanted[:3]
    assert stored.ask("GET", "/strop/v1/labels/wanted?limit=0")[0] == 400
    done = wanted[0]["request_id"]
    stored.ask("POST", "/strop/v1/labels", {"request_id": done, "label": 1})
    assert done not in {w["request_id"] for w in stored.ask("GET", "/strop/v1/labels/wanted?limit=1000")[1]}


def test_candidates(stored, models, tmp_path):
    assert stored.ask("POST", "/strop/v1/candidates", {"model": "m", "path": str(models[1])}) == (200, {"id": 1, "state": "offered"})
    for body, status in [({"model": "x", "path": str(models[1])}, 404), ({"model": "m", "path": "none.onnx"}, 400), ({}, 400)]:
        assert stored.ask("POST", "/strop/v1/candidates", body)[0] == status
    with sqlite3.connect(tmp_path / "s.db") as database:  # as the loop does
        database.execute("UPDATE candidates SET state = 'rejected', evidence_json = '{\"drop\": 0.5}'")
    [listed] = stored.ask("GET", "/strop/v1/candidates")[1]
    assert (listed["state"], listed["evidence"], listed["path"]) == ("rejected", {"drop": 0.5}, str(models[1]))


@pytest.mark.slow
def test_captures_labels_and_candidates_lie_in_postgresql(strop_bin, models, images, postgres, tmp_path):
    store = postgres.new_database()
    with Running(strop_bin, f"m={models[0]}", "--store", store) as server:
        ids = [server.infer(images[i:i + 1])["id"] for i in range(5)]
        labels = [{"request_id": i, "label": k} for k, i in enumerate(ids)]
        for _ in range(2):
            assert server.ask("POST", "/strop/v1/labels", labels) == (200, {"labelled": 5})
        for number in (1, 2):
            assert server.ask("POST", "/strop/v1/candidates", {"model": "m", "path": str(models[1])}) == (
                200, {"id": number, "state": "offered"})
        assert [c["id"] for c in server.ask("GET", "/strop/v1/candidates")[1]] == [2, 1]
    subprocess.run([strop_bin / "strop-label", "export", tmp_path / "l.parquet", "--store", store], check=True)
    table = parquet.read_table(tmp_path / "l.parquet").to_pydict()
    assert dict(zip(table["request_id"], table["label"])) == {i: k for k, i in enumerate(ids)}


# ---- drift


def test_alarm_on_corrupted_images_and_none_on_clean_ones(strop_bin, models, images, fashion, tmp_path):
    arguments = [f"m={models[0]}", "--store", tmp_path / "s.db", "--reference", fashion["train"]]
    with Running(strop_bin, *arguments) as server:
        client = triton.InferenceServerClient(f"{server.host}:{server.port}")

        def send(rows):
            for begin in range(0, len(rows), 50):
                given = triton.InferInput("image", [50, 1, 28, 28], "UINT8")
                given.set_data_from_numpy(np.ascontiguousarray(rows[begin:begin + 50]))
                client.infer("m", [given])

        def state():
            server.ask("GET", "/strop/v1/labels/wanted")  # waits for the observer
            return server.ask("GET", "/strop/v1/status")[1]

        send(images[:2000])
        clean = state()
        assert clean["alarms"] == 0
        assert {d["name"] for d in clean["models"][0]["detectors"]} == {"input", "activation"}
        assert all(d["rows"] == 2000 and d["threshold"] > 0 and not d["drift"] for d in clean["models"][0]["detectors"])
        noise = np.random.default_rng(0).normal(0, 40, images[2000:3000].shape)
        send(np.clip(images[2000:3000] + noise, 0, 255).astype(np.uint8))
        drifted = state()
        assert drifted["alarms"] >= 1
        assert any(d["drift"] for d in drifted["models"][0]["detectors"])
        metrics = server.ask("GET", "/metrics")[1].decode()
        assert 'strop_watch_drift{detector="input",model="m"} 1' in metrics
        assert "strop_watch_score" in metrics and "strop_watch_threshold" in metrics
    with sqlite3.connect(tmp_path / "s.db") as database:
        tables = {n for n, in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        [events] = [t for t in tables if "event" in t]
        details = [json.loads(d) for d, in database.execute(f"SELECT detail FROM {events} WHERE room = 'watch' AND event = 'alarm'")]
    assert len(details) == drifted["alarms"]
    assert set(details[0]) == {"detector", "score", "threshold", "model", "version", "rows", "evidence"}
    assert details[0]["score"] > details[0]["threshold"] and 2000 < details[0]["rows"] <= 3000


# ---- a project


def test_a_project_serves_and_remembers(strop_bin, models, images, fashion, tmp_path):
    (tmp_path / "strop.toml").write_text(
        f'[data]\ntrain = "{fashion["train"]}"\n[train]\ncommand = ["true"]\n[serve]\nname = "shop"\nhttp = "127.0.0.1:0"\n'
        '[loop]\ndirectory = "run"\n')
    arguments = [tmp_path / "strop.toml", "--model", f"shop={models[0]}"]
    with Running(strop_bin, *arguments) as server:
        assert control(tmp_path / "run/serve.sock", {"load": {"name": "shop", "path": str(models[1])}})["version"] == 2
        server.stop(signal.SIGKILL)
    with Running(strop_bin, *arguments) as server:
        assert server.ask("GET", "/strop/v1/status")[1]["version"] == 2
        assert control(tmp_path / "run/serve.sock", {"shutdown": {}}) == {"ok": True}
        assert server.process.wait(10) == 0


# ---- Python


def test_python_server(models, images, expected):
    import strop
    from strop.serve import Server

    with Server({"m": models[0]}, http="127.0.0.1:0") as server:
        assert server.url == f"http://127.0.0.1:{server.http_port}"
        client = triton.InferenceServerClient(f"127.0.0.1:{server.http_port}")

        def logits():
            given = triton.InferInput("image", [4, 1, 28, 28], "UINT8")
            given.set_data_from_numpy(images[:4])
            return client.infer("m", [given]).as_numpy("logits")

        np.testing.assert_allclose(logits(), expected[0][:4], rtol=1e-4, atol=1e-4)
        assert server.swap("m", models[1]) == 2
        np.testing.assert_allclose(logits(), expected[1][:4], rtol=1e-4, atol=1e-4)
        with pytest.raises(strop.Error, match="none.onnx"):
            server.swap("m", "none.onnx")
        assert server.status()["version"] == 2
        pid = server.pid
        client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    server.stop()
    with pytest.raises(NotImplementedError, match="gRPC"):
        Server({"m": models[0]}, grpc="127.0.0.1:0")
    with pytest.raises(strop.Error, match="none.onnx"):
        Server({"m": "none.onnx"})
