"""MosaicML Streaming: a local StreamingDataset of MDS shards (64 MiB, neither compressed nor hashed) under torch's
DataLoader, with persistent workers and four batches ready each.

A row is one field of bytes, unpacked by the collate a batch at a time: MDS's own encodings would unpack it field by
field. Of images, the file's bytes and the label. The shuffle is py1e, MDS's default: shards in random order, rows
within 262,144 of their place; py1b and py1s were not faster.
"""

import os

import torch
from torch.utils.data import DataLoader

# torchvision, which Streaming imports, has no build for torch without CUDA on PyPI; these operators are all it misses.
OPERATORS = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from streaming import MDSWriter, StreamingDataset  # noqa: E402

import samples  # noqa: E402

PACKAGES = ("mosaicml-streaming", "torch", "simplejpeg")
FORMS = {workload: ["mds"] for workload in ("vectors", "images", "table")}
WORKERS = (0, 1, 2)
COLUMNS = {"vectors": {"row": "bytes"}, "table": {"row": "bytes"}, "images": {"image": "bytes", "label": "int"}}


def prepare(workload, folder):
    out = os.path.join(folder, "mds", workload)
    with MDSWriter(out=out, columns=COLUMNS[workload], size_limit=1 << 26) as writer:
        if workload == "images":
            for image, label in samples.encoded_images(folder):
                writer.write({"image": image, "label": label})
        else:
            for row in samples.packed_rows(workload, folder):
                writer.write({"row": row})
    return out


def collate_rows(rows):
    return samples.join([row["row"] for row in rows])


def collate_images(rows):
    return samples.stack([(row["image"], row["label"]) for row in rows])


def open_loader(workload, form, workers, batch, folder):
    own = os.path.join(folder, "mds", f"{workload}-{workers}")  # Streaming refuses a folder that another process reads
    if not os.path.islink(own):
        os.symlink(workload, own)
    dataset = StreamingDataset(local=own, shuffle=True, batch_size=batch, num_canonical_nodes=1)
    loader = DataLoader(dataset, batch, num_workers=workers, persistent_workers=workers > 0,
                        prefetch_factor=4 if workers else None,
                        collate_fn=collate_images if workload == "images" else collate_rows)
    return samples.batches(loader, workload)
