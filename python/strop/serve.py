"""The inference server as a process: `with strop.serve.Server({"name": "model.onnx"}) as server: …`"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading

import strop

__all__ = ["Server"]


def _binary():
    folder = os.environ.get("STROP_BIN_DIR") or pathlib.Path(__file__).parent / "bin"
    path = pathlib.Path(folder) / "strop-serve"
    if not path.exists():
        raise strop.NotFound(f"{path} is missing: build Strop, or set STROP_BIN_DIR to the folder of its programs")
    return path


class Server:
    """Starts `strop-serve` and ends it with the `with` block (or `stop()`).

    models: name -> path of an ONNX file. http: HOST:PORT, port 0 for any free one. With `store` (a URL or a path) it
    remembers swaps, captures requests and takes labels; with `reference` (rows in Parquet) it also watches for drift.
    Raises strop.Error with the server's own line when it does not start.
    """

    def __init__(self, models, http="127.0.0.1:0", grpc=None, *, store=None, reference=None, threads=None,
                 capture=None, arguments=(), start_timeout=60.0, log=None):
        if grpc is not None:
            raise strop.Unsupported(f"grpc={grpc!r}: gRPC is not served yet; use http=, which speaks the same protocol")
        self._folder = tempfile.TemporaryDirectory(prefix="strop-serve-")
        self._control = pathlib.Path(self._folder.name) / "serve.sock"
        command = [str(_binary()), "--json", "--http", http, "--control", str(self._control)]
        for name, path in dict(models).items():
            command += ["--model", f"{name}={os.fspath(path)}"]
        for flag, value in (("--store", store), ("--reference", reference), ("--threads", threads), ("--capture", capture)):
            if value is not None:
                command += [flag, str(value)]
        command += [str(a) for a in arguments]
        self._errors = open(log, "ab+") if log else tempfile.TemporaryFile()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors, stdin=subprocess.DEVNULL)
        try:
            ready = self._read_ready(start_timeout)
        except BaseException:
            self.stop()
            raise
        self.http = ready["http"]
        self.pid = ready["pid"]

    def _read_ready(self, timeout):
        timer = threading.Timer(timeout, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        late = not timer.is_alive()
        timer.cancel()
        if not line:
            status = self._process.wait()
            if late:
                raise strop.Timeout(f"strop-serve was not ready after {timeout:g} s")
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
            message = lines[-1] if lines else f"strop-serve ended with status {status}"
            raise strop.FailedPrecondition(message)
        return json.loads(line)

    @property
    def http_port(self):
        return int(self.http.rsplit(":", 1)[1])

    @property
    def url(self):
        return f"http://{self.http}"

    def _ask(self, request, timeout=300.0):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(timeout)
            try:
                control.connect(str(self._control))
            except OSError as failure:
                raise strop.Unavailable(f"the server at {self.http} is gone: {failure}") from None
            control.sendall(json.dumps(request).encode() + b"\n")
            with control.makefile("rb") as lines:
                line = lines.readline()
        if not line:
            raise strop.Unavailable(f"the server at {self.http} closed without an answer")
        answer = json.loads(line)
        if "error" in answer:
            raise strop._errors.get(answer["error"], strop.Error)(answer.get("message", answer["error"]))
        return answer

    def swap(self, name, path, reference=None):
        """Puts another model behind `name` without failing a request; answers its version once it is live."""
        load = {"name": name, "path": os.fspath(pathlib.Path(path).absolute())}
        if reference is not None:
            load["reference"] = str(reference)
        return self._ask({"load": load})["version"]

    def unload(self, name):
        self._ask({"unload": {"name": name}})

    def status(self):
        """What /strop/v1/status says, as a dict."""
        return self._ask({"status": {}})

    def stop(self, timeout=15.0):
        """Lets requests in hand finish, then ends the process. A second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()
        self._errors.close()
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def __del__(self):
        if getattr(self, "_process", None) is not None:
            self.stop()
