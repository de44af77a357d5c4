"""Batches on a GPU: needs one, and a torch that sees it."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import strop.feed

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device on this machine")]

ROWS, WIDTH, BATCH = 20_000, 64, 512


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, WIDTH), dtype=np.float32)
    path = tmp_path_factory.mktemp("gpu") / "rows.parquet"
    columns = {"id": pyarrow.array(np.arange(ROWS)),
               "x": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(x.reshape(-1)), WIDTH)}
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=2_000)
    return path, x


@pytest.mark.parametrize("pin_memory", [False, True])
def test_every_row_arrives_on_the_gpu_as_it_is_in_the_file(rows, pin_memory):
    path, x = rows
    seen = []
    # Two epochs, so that pooled buffers are used again while copies of them may still be under way.
    loader = strop.feed.Loader(path, batch_size=BATCH, shuffle=True, seed=1, device="cuda", pin_memory=pin_memory)
    for _ in range(2):
        for batch in loader:
            assert batch["x"].device.type == "cuda" and batch["id"].device.type == "cuda"
            seen.append((batch["id"], batch["x"]))
    ids = torch.cat([one for one, _ in seen]).cpu().numpy()
    assert np.array_equal(np.sort(ids), np.sort(np.tile(np.arange(ROWS), 2)))
    assert np.array_equal(torch.cat([one for _, one in seen]).cpu().numpy(), x[ids])


def test_pinned_batches_stay_on_the_cpu_without_a_device(rows):
    path, _ = rows
    batch = next(iter(strop.feed.Loader(path, batch_size=BATCH, pin_memory=True)))
    assert batch["x"].is_pinned() and batch["x"].device.type == "cpu"


