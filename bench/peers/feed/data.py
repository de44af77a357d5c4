"""The three data sets of bench/peers/feed, made once, from a seed.

    .venv-peers/torch/bin/python bench/peers/feed/data.py [--folder build/data/feed] [--scale 1]

    vectors  1,048,576 rows of "x", float32 [512], and "label", int64: 2.1 GB. Parquet with row groups of about 1 MiB
             of values, plain and not compressed, as `strop feed convert` writes; the same as an Arrow IPC file and as
             two .npy files.
    images   6,144 different JPEG files, 256 pixels the shorter side, quality 90: cut at random places, scales and
             aspects from the photographs in scikit-image's and scikit-learn's wheels. A folder CLASS/NAME.jpg, and the
             same as a WebDataset tar.
    table    3,145,728 rows of 30 columns: 12 float32, 10 float64, 8 int64 (of which "i0" numbers the rows): 604 MB.
             Parquet, Arrow IPC and one .npy file of packed rows.

--scale 0.01 makes small ones for a quick check. What must come out of an epoch (rows and sums) is in meta.json.
"""

import argparse
import io
import json
import os
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WIDTH = 512
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
CROP = 224
TABLE = np.dtype([(f"f{i}", "<f4") for i in range(12)] + [(f"d{i}", "<f8") for i in range(10)]
                 + [(f"i{i}", "<i8") for i in range(8)])
ROW_GROUP_BYTES = 1 << 20
SEED = 5


@dataclass(frozen=True)
class Workload:
    rows: int
    batch: int
    row_bytes: int  # of a decoded row; of images, of the files on the average


WORKLOADS = {
    "vectors": Workload(1 << 20, 1024, 4 * WIDTH + 8),
    "images": Workload(6144, 64, 30_000),
    "table": Workload(3 << 20, 4096, TABLE.itemsize),
}


def sums(batch):
    """What is compared of a batch of torch tensors: exact for whole numbers."""
    import torch

    return {name: tensor.sum(dtype=torch.float64 if tensor.is_floating_point() else torch.int64).item()
            for name, tensor in batch.items()}


def load_meta(folder):
    return json.loads((Path(folder) / "meta.json").read_text())


def size_of(path):
    path = Path(path)
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)


def write_tables(folder, name, schema, blocks):
    """The blocks, each a row group, as Parquet and as Arrow IPC."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    with parquet.ParquetWriter(folder / f"{name}.parquet", schema, compression="none", use_dictionary=False) as rows, \
            pa.ipc.new_file(folder / f"{name}.arrow", schema) as ipc:
        for columns in blocks:
            batch = pa.record_batch(columns, schema=schema)
            rows.write_batch(batch, row_group_size=len(batch))
            ipc.write_batch(batch)


def make_vectors(folder, rows):
    import pyarrow as pa
    from tqdm import tqdm

    generator = np.random.default_rng(SEED)
    x = np.lib.format.open_memmap(folder / "vectors_x.npy", "w+", np.float32, (rows, WIDTH))
    labels = generator.integers(0, 1000, rows)
    np.save(folder / "vectors_label.npy", labels)
    step = ROW_GROUP_BYTES // (4 * WIDTH)
    total = 0.0

    def blocks():
        nonlocal total
        for begin in tqdm(range(0, rows, step), desc="vectors", disable=None):
            part = x[begin:begin + step]
            generator.standard_normal(part.shape, np.float32, out=part)
            total += float(part.sum(dtype=np.float64))
            values = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), WIDTH)
            yield [values, pa.array(labels[begin:begin + step])]

    not_null = pa.field("item", pa.float32(), nullable=False)
    schema = pa.schema([pa.field("x", pa.list_(not_null, WIDTH), nullable=False),
                        pa.field("label", pa.int64(), nullable=False)])
    write_tables(folder, "vectors", schema, blocks())
    x.flush()
    return {"x": total, "label": int(labels.sum())}


def make_table(folder, rows):
    import pyarrow as pa
    from tqdm import tqdm

    generator = np.random.default_rng(SEED)
    packed = np.lib.format.open_memmap(folder / "table.npy", "w+", TABLE, (rows,))
    step = ROW_GROUP_BYTES // TABLE.itemsize
    totals = dict.fromkeys(TABLE.names, 0)

    def blocks():
        for begin in tqdm(range(0, rows, step), desc="table", disable=None):
            part = packed[begin:begin + step]
            for name in TABLE.names:
                if name == "i0":
                    part[name] = np.arange(begin, begin + len(part))
                elif name[0] == "i":
                    part[name] = generator.integers(0, 10_000, len(part))
                else:
                    part[name] = generator.standard_normal(len(part), TABLE[name])
                totals[name] += part[name].sum(dtype=np.float64 if name[0] != "i" else np.int64).item()
            yield [pa.array(np.ascontiguousarray(part[name])) for name in TABLE.names]

    schema = pa.schema([pa.field(name, pa.from_numpy_dtype(TABLE[name]), nullable=False) for name in TABLE.names])
    write_tables(folder, "table", schema, blocks())
    packed.flush()
    return totals


def photographs():
    import skimage
    import sklearn
    from PIL import Image

    of_skimage, of_sklearn = Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets/images"
    names = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
    files = [of_skimage / name for name in names] + [of_sklearn / name for name in ("china.jpg", "flower.jpg")]
    return {path.stem: Image.open(path).convert("RGB") for path in files}


def cut(photograph, generator):
    """A JPEG of a random part of a photograph."""
    from PIL import Image

    aspect = np.exp(generator.uniform(np.log(3 / 4), np.log(4 / 3)))
    height = int(min(photograph.height, photograph.width / aspect) * generator.uniform(0.5, 1))
    width = int(height * aspect)
    left = int(generator.integers(0, photograph.width - width + 1))
    top = int(generator.integers(0, photograph.height - height + 1))
    zoom = 256 / min(width, height)
    picture = photograph.resize((round(width * zoom), round(height * zoom)), Image.LANCZOS,
                                (left, top, left + width, top + height))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    return out.getvalue(), float(((np.asarray(picture) / 255 - MEAN) / STD).mean())


def make_images(folder, rows):
    from tqdm import tqdm

    generator = np.random.default_rng(SEED)
    sources = photographs()
    means = []
    labels = 0
    with tarfile.open(folder / "images.tar", "w") as archive:
        for row in tqdm(range(rows), desc="images", disable=None):
            label = row % len(sources)
            kind = sorted(sources)[label]
            encoded, mean = cut(sources[kind], generator)
            means.append(mean)
            labels += label
            path = folder / "images" / kind / f"{row:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded)
            for name, content in ((f"{row:06}.jpg", encoded), (f"{row:06}.cls", str(label).encode())):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return {"image_mean": float(np.mean(means)), "label": labels}


def image_files(folder):
    """Path and label of every image, in the order of the classes' names."""
    classes = sorted(one for one in (Path(folder) / "images").iterdir() if one.is_dir())
    return [(str(path), label) for label, one in enumerate(classes) for path in sorted(one.iterdir())]


def make(folder, scale):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "meta.json"
    meta = load_meta(folder) if path.exists() else {}
    for name, workload in WORKLOADS.items():
        rows = max(4 * workload.batch, int(workload.rows * scale))
        if meta.get(name, {}).get("rows") == rows:
            continue
        begin = time.perf_counter()
        want = {"vectors": make_vectors, "images": make_images, "table": make_table}[name](folder, rows)
        meta[name] = {"rows": rows, "want": want, "seconds": time.perf_counter() - begin}
        path.write_text(json.dumps(meta, indent=1))
    return meta


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default=os.path.join("build", "data", "feed"))
    parser.add_argument("--scale", type=float, default=1)
    arguments = parser.parse_args()
    for name, made in make(arguments.folder, arguments.scale).items():
        print(f"{name}: {made['rows']:,} rows, made in {made['seconds']:.0f} s")


if __name__ == "__main__":
    main()
