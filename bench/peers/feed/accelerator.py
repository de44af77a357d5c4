"""An emulated accelerator, as in MLPerf Storage: it takes its time for a batch and nothing of a core.

Its utilisation is the time it computes over the time since it had its first batch: the wait for that one is left out,
as in MLPerf's rules. What a sleep takes too long is taken off the next: an accelerator that lags would look busier than
it is.

PACES are those of one A100 in MLPerf Storage 2.0, in records a second. Images: ResNet-50's 400 in 0.435 s. Vectors and
the table: as many bytes a second as its other two workloads take, U-Net3D (7 of 146.6 MB in 0.636 s) and CosmoFlow
(2.83 MB in 5.51 ms).
"""

import time

from data import WORKLOADS

PACES = {
    "images": 400 / 0.435,
    "vectors": 7 * 146_600_628 / 0.636 / WORKLOADS["vectors"].row_bytes,
    "table": 2_828_486 / 0.00551 / WORKLOADS["table"].row_bytes,
}


class Accelerator:
    def __init__(self, pace):
        self.pace, self.computed, self.late, self.begin = pace, 0.0, 0.0, None

    def take(self, records):
        seconds = records / self.pace
        begin = time.perf_counter()
        if self.begin is None:
            self.begin = begin
        time.sleep(max(0, seconds - self.late))
        self.end = time.perf_counter()
        self.late += self.end - begin - seconds
        self.computed += seconds

    def utilisation(self):
        return self.computed / (self.end - self.begin)
