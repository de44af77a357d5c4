"""Traffic for the loop's test: clean images first, drifted ones from then on; answers label requests; ends after a swap."""

import json
import os
import sys
import time
import urllib.request

import numpy as np
import pyarrow.parquet as pq

BASE = f"http://{os.environ['STROP_HTTP']}"
CLEAN, LIMIT = 1200, 60_000
DRIFTS = {"flip": lambda image: image.reshape(28, 28)[::-1].ravel(), "invert": lambda image: 255 - image}


def call(path, value=None):
    body = None if value is None else json.dumps(value).encode()
    with urllib.request.urlopen(urllib.request.Request(BASE + path, body), timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def main():
    table = pq.read_table(os.environ["STROP_TEST_DATA"])
    images, labels = table["image"].to_pylist(), table["label"].to_pylist()
    truth, run = {}, os.getpid()
    first = call("/strop/v1/status")["version"]
    for number in range(LIMIT):
        row = number % len(images)
        image = np.frombuffer(images[row], np.uint8)
        if number >= CLEAN or first > 1:
            image = DRIFTS[os.environ.get("STROP_TEST_DRIFT", "flip")](image)
        request_id = f"{run}-{number}"
        truth[request_id] = labels[row]
        call("/v2/models/digits/infer", {"id": request_id, "inputs": [
            {"name": "image", "shape": [1, 1, 28, 28], "datatype": "UINT8", "data": image.tolist()}]})
        if number % 100 == 99:
            wanted = [item["request_id"] for item in call("/strop/v1/labels/wanted?limit=1000")]
            given = [{"request_id": id, "label": truth[id]} for id in wanted if id in truth]
            if given:
                call("/strop/v1/labels", given)
            if call("/strop/v1/status")["version"] > 1:
                return 0
            time.sleep(0.05)
    return 1


if __name__ == "__main__":
    sys.exit(main())
