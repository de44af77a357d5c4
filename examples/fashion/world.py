"""The world outside: sends the test images as traffic, answers label requests, offers a bad model, kills the server.

`strop run` starts it as the companion of examples/fashion/strop.toml, with STROP_HTTP and STROP_LOOP_DIR in its
environment. What it measured goes to STROP_LOOP_DIR/world.json; it exits non-zero when the loop did not hold.

The drift: from its onset every image loses a fifth of its contrast, is lifted by 20 grey levels of 255 and gets
Gaussian noise of 10 grey levels (seeded by the image's number), as an ageing camera would do. Severities are frozen here.
"""

import dataclasses
import http.client
import itertools
import json
import os
import shutil
import signal
import sys
import threading
import time
import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pyarrow.parquet as pq

import strop.serve

HERE = Path(__file__).resolve().parent
DATA = HERE / "../../build/data/fashion/test.parquet"
MODEL = "fashion"
CLIENTS = 2
REQUESTS_A_SECOND = 150          # of each client: well below what the server bears, so that retraining has a core
CLEAN = range(0, 2000)           # image numbers; the three ranges never overlap
DRIFTED = range(2000, 7000)
AFTER_SWAP = range(7000, 10000)
CONTRAST, LIFT, NOISE = 0.8, 20.0, 10.0
LABELS_HELD_BACK = 100           # until the bad candidate is judged, so that the order of the story is kept
PATIENCE = 240.0                 # seconds to wait for any one thing


def load_images() -> tuple[np.ndarray, np.ndarray]:
    table = pq.read_table(DATA)
    pixels = table["image"].combine_chunks()
    pixels = pixels.chunk(0) if hasattr(pixels, "chunk") else pixels
    images = np.frombuffer(pixels.buffers()[1], np.uint8).reshape(-1, 784)
    return images, table["label"].to_numpy()


def corrupt(image: np.ndarray, number: int) -> np.ndarray:
    noise = np.random.default_rng(number).normal(0, NOISE, image.shape)
    return np.clip(image * CONTRAST + LIFT + noise, 0, 255).astype(np.uint8)


class Client:
    """One keep-alive connection that speaks the binary tensor extension of the Open Inference Protocol."""

    def __init__(self, address: str):
        self.address = address
        self.connection = None

    def request(self, method: str, path: str, body: bytes = b"", headers: dict | None = None) -> tuple[dict, bytes]:
        if self.connection is None:
            host, port = self.address.rsplit(":", 1)
            self.connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
            data = response.read()
        except Exception:
            self.connection.close()
            self.connection = None
            raise
        if response.status >= 400:
            raise OSError(f"{method} {path}: {response.status} {data[:300].decode(errors='replace')}")
        return response.headers, data

    def get(self, path: str):
        return json.loads(self.request("GET", path)[1])

    def post(self, path: str, value):
        return json.loads(self.request("POST", path, json.dumps(value).encode(),
                                       {"Content-Type": "application/json"})[1] or b"null")

    def predict(self, request_id: str, image: np.ndarray) -> int:
        header = json.dumps({
            "id": request_id,
            "inputs": [{"name": "image", "shape": [1, 1, 28, 28], "datatype": "UINT8",
                        "parameters": {"binary_data_size": image.nbytes}}],
            "outputs": [{"name": "logits", "parameters": {"binary_data": True}}],
        }).encode()
        headers, data = self.request("POST", f"/v2/models/{MODEL}/infer", header + image.tobytes(),
                                     {"Inference-Header-Content-Length": str(len(header)),
                                      "Content-Type": "application/octet-stream"})
        logits = np.frombuffer(data[int(headers["Inference-Header-Content-Length"]):], np.float32)
        return int(logits.argmax())


@dataclasses.dataclass
class Phase:
    """Right answers among those given, of the champion and of the control, while one kind of traffic ran."""
    champion: list = dataclasses.field(default_factory=list)
    control: list = dataclasses.field(default_factory=list)

    def accuracy(self, who: str) -> float:
        answers = getattr(self, who)
        return sum(answers) / len(answers)


class World:
    def __init__(self, address: str, control_address: str):
        self.images, self.labels = load_images()
        self.address, self.control_address = address, control_address
        self.lock = threading.Lock()
        self.sent = self.failed = self.failed_in_kill = 0
        self.failures: list[str] = []
        self.killed_at: float | None = None
        self.truth: dict[str, int] = {}
        self.labels_given = self.drifted_labels = 0
        self.client = Client(address)

    def say(self, text: str) -> None:
        print(f"world: {text}", file=sys.stderr, flush=True)

    def progress(self, what: str, done: int, total: int) -> None:
        """A line that strop run, which sets STROP_PROGRESS, shows as a bar."""
        if os.environ.get("STROP_PROGRESS") == "json":
            print(json.dumps({"progress": what, "done": done, "total": total}), file=sys.stderr, flush=True)

    def send_all(self, phase: Phase, numbers: range, corrupted: bool, name: str) -> None:
        """Sends each of `numbers` once, and waits."""
        threads = self.send(phase, once(numbers), corrupted, threading.Event(), name)
        while any(thread.is_alive() for thread in threads):
            self.progress(f"{name} traffic", len(phase.champion), len(numbers))
            time.sleep(0.2)
        self.progress(f"{name} traffic", len(phase.champion), len(numbers))

    def send(self, phase: Phase, numbers, corrupted: bool, stop: threading.Event, name: str) -> list[threading.Thread]:
        """Starts the clients over `numbers` (an iterator they share); they end with it or with `stop`."""
        numbers = iter(numbers)

        def run() -> None:
            client, control = Client(self.address), Client(self.control_address)
            next_at = time.monotonic()
            while not stop.is_set():
                with self.lock:
                    item = next(numbers, None)
                if item is None:
                    return
                turn, number = item
                image = corrupt(self.images[number], number) if corrupted else self.images[number]
                request_id, truth = f"{name}-{turn}-{number}", int(self.labels[number])
                with self.lock:
                    self.truth[request_id] = truth
                answer = self.ask(client, request_id, image)
                other = control.predict(request_id, image) if answer is not None else None
                with self.lock:
                    if answer is not None:
                        phase.champion.append(answer == truth)
                        phase.control.append(other == truth)
                next_at = max(next_at + 1 / REQUESTS_A_SECOND, time.monotonic() - 0.1)
                time.sleep(max(0.0, next_at - time.monotonic()))

        threads = [threading.Thread(target=run, daemon=True) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def ask(self, client: Client, request_id: str, image: np.ndarray) -> int | None:
        with self.lock:
            self.sent += 1
        try:
            return client.predict(request_id, image)
        except (OSError, http.client.HTTPException) as error:
            with self.lock:
                if self.killed_at is not None:
                    self.failed_in_kill += 1
                else:
                    self.failed += 1
                    self.failures.append(f"{request_id}: {error}")
            time.sleep(0.05)
            return None

    def status(self) -> dict:
        return self.client.get("/strop/v1/status")

    def wait(self, what: str, ready, also=lambda: None):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if value := ready():
                return value
            also()
            time.sleep(0.1)
        raise TimeoutError(f"waited {PATIENCE:.0f} s in vain for {what}")

    def answer_labels(self, drifted_at_most: int) -> None:
        """Labels every request that is wanted, but no more than so many of the drifted ones in all."""
        batch = []
        for item in self.client.get("/strop/v1/labels/wanted?limit=5000"):
            request_id = item["request_id"]
            if request_id.startswith("drift"):
                if self.drifted_labels == drifted_at_most:
                    continue
                self.drifted_labels += 1
            self.labels_given += 1
            batch.append({"request_id": request_id, "label": self.truth[request_id]})
        if batch:
            self.client.post("/strop/v1/labels", batch)


def once(numbers: range):
    return ((0, number) for number in numbers)


def again_and_again(numbers: range):
    return ((turn, number) for turn in itertools.count() for number in numbers)


def make_bad_model(good: Path, bad: Path) -> None:
    """The champion with the outputs of its last layer in another order: a fine file with wrong answers."""
    model = onnx.load(str(good))
    last = [node for node in model.graph.node if node.op_type == "Gemm"][-1]
    for tensor in model.graph.initializer:
        if tensor.name in last.input[1:]:
            values = onnx.numpy_helper.to_array(tensor)
            axis = 0 if values.ndim == 1 or values.shape[0] == 10 else 1
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.roll(values, 3, axis), tensor.name))
    onnx.save(model, str(bad))


def play(world: World, loop_dir: Path, retrain_labels: int) -> dict:
    measured: dict = {}

    # 1. A clean phase raises no alarm.
    clean = Phase()
    world.say(f"1 clean traffic, {len(CLEAN)} images")
    world.send_all(clean, CLEAN, False, "clean")
    world.wait("the observer to see the clean traffic", lambda: world.status()["captures"] >= len(clean.champion))
    measured["accuracy_before"] = clean.accuracy("champion")
    measured["false_alarms"] = world.status()["alarms"]

    # 2. The drift sets in.
    world.say("2 the drift sets in")
    drifted, stop = Phase(), threading.Event()
    threads = world.send(drifted, again_and_again(DRIFTED), True, stop, "drift")
    onset = time.monotonic()
    version = world.status()["version"]
    world.wait("an alarm", lambda: world.status()["alarms"] > measured["false_alarms"])
    measured["seconds_to_alarm"] = time.monotonic() - onset
    world.say(f"  alarm after {measured['seconds_to_alarm']:.1f} s")

    # 3. Uncertain requests and a uniform share are labelled, all but the last.
    before_offer = retrain_labels - LABELS_HELD_BACK
    world.say(f"3 answering label requests ({before_offer} of {retrain_labels})")
    world.wait("label requests", lambda: world.drifted_labels >= before_offer, lambda: world.answer_labels(before_offer))

    # 4. A bad candidate is offered and rejected.
    world.say("4 a bad candidate is offered")
    bad = loop_dir / "models" / "offered-bad.onnx"
    make_bad_model(loop_dir / "models" / "r0-f32.onnx", bad)
    world.client.post("/strop/v1/candidates", {"model": MODEL, "path": str(bad)})

    def judged():
        candidates = [c for c in world.client.get("/strop/v1/candidates") if c["path"] == str(bad)]
        return candidates and candidates[0]["state"] != "offered" and candidates[0]  # the newest comes first
    candidate = world.wait("a judgement of the candidate", judged)
    measured["bad_candidate"] = {"state": candidate["state"], "evidence": candidate["evidence"]}
    world.say(f"  {candidate['state']}")

    # 5. Retrained, compressed, validated and swapped in under live traffic.
    world.say("5 the last labels; retraining and swap under traffic")
    world.wait("a swap", lambda: world.status()["version"] > version,
               lambda: world.answer_labels(2 * retrain_labels))
    measured["seconds_to_swap"] = time.monotonic() - onset
    world.say(f"  swapped after {measured['seconds_to_swap']:.1f} s")
    stop.set()
    for thread in threads:
        thread.join()
    measured["accuracy_under_drift"] = drifted.accuracy("control")
    measured["labels"] = world.labels_given

    after = Phase()
    world.send_all(after, AFTER_SWAP, True, "after")
    measured["accuracy_retrained"] = after.accuracy("champion")
    measured["accuracy_control"] = after.accuracy("control")

    # 6. The server is killed once with -9 and comes back with the champion.
    world.say("6 kill -9")
    before_kill = world.status()
    back, stop = Phase(), threading.Event()
    threads = world.send(back, again_and_again(AFTER_SWAP), True, stop, "back")
    pid = before_kill["pid"]
    with world.lock:
        world.killed_at = time.monotonic()
    os.kill(pid, signal.SIGKILL)

    def alive():
        try:
            status = world.status()
            return status["pid"] != pid and status["ready"]
        except (OSError, http.client.HTTPException):
            return False
    world.wait("the server to come back", alive)
    measured["seconds_killed"] = time.monotonic() - world.killed_at
    answered = len(back.champion)
    time.sleep(0.5)  # connections that broke with the old server are made anew
    with world.lock:
        world.killed_at = None
    world.wait("answers of the new server", lambda: len(back.champion) >= answered + 200)
    stop.set()
    for thread in threads:
        thread.join()
    after_kill = world.status()
    measured["champion_after_kill"] = after_kill["path"]
    measured["champion_kept"] = after_kill["path"] == before_kill["path"]
    measured["accuracy_after_kill"] = back.accuracy("champion")
    return measured


def verdict(measured: dict) -> list[str]:
    """What did not hold, in words."""
    lost = measured["accuracy_before"] - measured["accuracy_control"]
    returned = measured["accuracy_retrained"] - measured["accuracy_control"]
    measured["share_returned"] = returned / lost if lost > 0 else 0.0
    checks = [
        (measured["false_alarms"] == 0, f"{measured['false_alarms']} alarms in the clean phase"),
        (lost > 0.02, f"the drift cost only {lost:.3f} of accuracy: nothing to win back"),
        (measured["share_returned"] >= 0.5, f"{measured['share_returned']:.0%} of the lost accuracy returned, want half"),
        (measured["requests_failed"] == 0, f"{measured['requests_failed']} requests failed: {measured['failures'][:3]}"),
        (measured["bad_candidate"]["state"] == "rejected", f"the bad candidate was {measured['bad_candidate']['state']}"),
        (measured["champion_kept"], f"after kill -9 the server came back with {measured['champion_after_kill']}"),
    ]
    return [text for held, text in checks if not held]


def main() -> int:
    loop_dir = Path(os.environ["STROP_LOOP_DIR"])
    project = tomllib.loads(Path(os.environ["STROP_PROJECT"]).read_text())
    control_model = loop_dir / "models" / "control.onnx"
    shutil.copyfile(loop_dir / "models" / "r0-int8.onnx", control_model)
    with strop.serve.Server({MODEL: str(control_model)}, http="127.0.0.1:0") as control:
        world = World(os.environ["STROP_HTTP"], f"127.0.0.1:{control.http_port}")
        measured = play(world, loop_dir, project["loop"]["retrain_labels"])
    measured.update(requests_sent=world.sent, requests_failed=world.failed, requests_failed_in_kill=world.failed_in_kill,
                    failures=world.failures[:20])
    problems = verdict(measured)
    measured["problems"] = problems
    (loop_dir / "world.json").write_text(json.dumps(measured, indent=1))
    for problem in problems:
        world.say(f"did not hold: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
