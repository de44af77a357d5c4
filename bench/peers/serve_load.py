"""Load on an Open Inference Protocol server: latency and rate over keep-alive connections.

    python bench/peers/serve_load.py strop MODEL.onnx                 starts strop-serve and loads it
    python bench/peers/serve_load.py mlserver MODEL.onnx              the same on MLServer with ONNX Runtime
    python bench/peers/serve_load.py url http://HOST:PORT NAME        one that runs already
    options: --connections 8 --seconds 5 --batch 1 --format json|binary --threads N --rounds 3

MLServer needs a venv of its own, .venv-peers/mlserver, with mlserver and onnxruntime; its runtime is the class below, so
that both servers run the same ONNX file. One JSON line a round: requests, failures, rate (a second), p50, p99, max (ms).
The client is one thread of asyncio; on a machine of few cores it takes its share from the server, the same for both.
The first answer is checked against ONNX Runtime where it is installed.
"""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]

MLSERVER_RUNTIME = '''
import numpy, onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

class Onnx(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(self.settings.parameters.extra["threads"])
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload):
        inputs = {i.name: NumpyCodec.decode_input(i) for i in payload.inputs}
        outputs = self.session.run(None, inputs)
        names = [o.name for o in self.session.get_outputs()]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output(n, o) for n, o in zip(names, outputs)])
'''


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def process(command, ready_url, environment=None):
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(ready_url, timeout=1).read()
                    break
                except OSError:
                    if running.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        sys.exit(f"{command[0]} did not start: {log.read().decode(errors='replace')[-2000:]}")
                    time.sleep(0.1)
            yield
        finally:
            running.terminate()
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


@contextlib.contextmanager
def strop_server(model, threads):
    port = free_port()
    program = ROOT / os.environ.get("STROP_BUILD", "build/dev") / "strop/bin/strop-serve"
    command = [str(program), f"m={model}", "--http", f"127.0.0.1:{port}", "--threads", str(threads)]
    with process(command, f"http://127.0.0.1:{port}/v2/health/ready"):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def mlserver(model, threads):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "runtime.py").write_text(MLSERVER_RUNTIME)
        (folder / "settings.json").write_text(json.dumps({
            "host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port(),
            "parallel_workers": 0, "debug": False}))
        (folder / "model-settings.json").write_text(json.dumps({
            "name": "m", "implementation": "runtime.Onnx",
            "parameters": {"uri": str(pathlib.Path(model).resolve()), "extra": {"threads": threads}}}))
        program = ROOT / ".venv-peers/mlserver/bin/mlserver"
        with process([str(program), "start", str(folder)], f"http://127.0.0.1:{port}/v2/models/m/ready",
                     {"PYTHONPATH": str(folder)}):
            yield f"127.0.0.1:{port}"


def make_request(host, name, signature, batch, binary):
    """One request of pseudo-random bytes for a model of one uint8 or float32 input."""
    shape = [batch if i == 0 else size for i, size in enumerate(signature["shape"])]
    count = 1
    for size in shape:
        count *= size
    bytes_ = bytes((i * 7919) % 251 for i in range(count))
    entry = {"name": signature["name"], "shape": shape, "datatype": signature["datatype"]}
    headers = f"POST /v2/models/{name}/infer HTTP/1.1\r\nHost: {host}\r\n"
    if signature["datatype"] != "UINT8":
        sys.exit(f"the model takes {signature['datatype']}: this load speaks UINT8")
    if binary:
        entry["parameters"] = {"binary_data_size": count}
        head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
        headers += f"Inference-Header-Content-Length: {len(head)}\r\nContent-Type: application/octet-stream\r\n"
        body = head + bytes_
    else:
        body = json.dumps({"inputs": [{**entry, "data": list(bytes_)}]}).encode()
        headers += "Content-Type: application/json\r\n"
    return f"{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body, bytes_, shape


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return int(head[9:12]), await reader.readexactly(length)


async def client(host, port, request, until, times, failures):
    reader, writer = await asyncio.open_connection(host, port)
    while (began := time.perf_counter()) < until:
        writer.write(request)
        status, _ = await answer(reader)
        times.append(time.perf_counter() - began)
        if status != 200:
            failures.append(status)
    writer.close()


async def load(host, port, request, connections, seconds):
    times, failures = [], []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(client(host, port, request, until, times, failures) for _ in range(connections)))
    return times, failures


def check(model, payload, shape, server):
    """The served answer against ONNX Runtime's; a benchmark of wrong answers is worth nothing."""
    try:
        import numpy
        import onnxruntime
    except ImportError:
        return "not checked: no onnxruntime"
    served = json.loads(urllib.request.urlopen(urllib.request.Request(
        f"http://{server}/v2/models/m/infer",
        json.dumps({"inputs": [{"name": "image", "shape": shape, "datatype": "UINT8", "data": list(payload)}]}).encode(),
        {"Content-Type": "application/json"})).read())["outputs"][0]["data"]
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: numpy.frombuffer(payload, numpy.uint8).reshape(shape)}
    numpy.testing.assert_allclose(numpy.ravel(served), session.run(None, feed)[0].ravel(), rtol=1e-3, atol=1e-3)
    return "equals onnxruntime"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["strop", "mlserver", "url"])
    parser.add_argument("target")
    parser.add_argument("name", nargs="?", default="m")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--format", choices=["json", "binary"], default="json")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    starter = {"strop": strop_server, "mlserver": mlserver}.get(args.kind)
    server = starter(args.target, args.threads) if starter else contextlib.nullcontext(args.target.removeprefix("http://"))
    with server as address:
        metadata = json.loads(urllib.request.urlopen(f"http://{address}/v2/models/{args.name}").read())
        signature = (metadata.get("inputs") or [{"name": "image", "datatype": "UINT8", "shape": [-1, 1, 28, 28]}])[0]
        host, port = address.rsplit(":", 1)
        request, payload, shape = make_request(address, args.name, signature, args.batch, args.format == "binary")
        checked = check(args.target, payload, shape, address) if starter else "not checked"
        asyncio.run(load(host, int(port), request, args.connections, min(1.0, args.seconds)))
        for number in range(args.rounds):
            times, failures = asyncio.run(load(host, int(port), request, args.connections, args.seconds))
            times.sort()
            print(json.dumps({
                "server": args.kind, "round": number, "format": args.format, "batch": args.batch,
                "connections": args.connections, "threads": args.threads, "requests": len(times), "failed": len(failures),
                "rate": round(len(times) / args.seconds, 1), "p50_ms": round(times[len(times) // 2] * 1e3, 3),
                "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 3), "max_ms": round(times[-1] * 1e3, 3),
                "answer": checked}), flush=True)


if __name__ == "__main__":
    main()
