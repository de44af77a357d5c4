"""Rows as bytes, for the peers that keep sample by sample: a field to unpack and a copy a row is the least there is."""

import random
from functools import partial

import numpy as np
import torch

import images
from blocks import Batches, new_block, split_packed
from data import CROP, TABLE, WIDTH, image_files

VECTOR = np.dtype([("x", "<f4", WIDTH), ("label", "<i8")])
PACKED = {"vectors": VECTOR, "table": TABLE}


def packed_rows(workload, folder, step=4096):
    """Every row's bytes, in order."""
    if workload == "table":
        packed = np.load(f"{folder}/table.npy", mmap_mode="r")
        for begin in range(0, len(packed), step):
            yield from (row.tobytes() for row in packed[begin:begin + step])
        return
    x, label = (np.load(f"{folder}/vectors_{name}.npy", mmap_mode="r") for name in ("x", "label"))
    for row, number in zip(x, label):
        yield row.tobytes() + number.tobytes()


def encoded_images(folder):
    for path, label in image_files(folder):
        yield images.read(path), label


def join(rows_of_bytes):
    """A collate: one block of a batch's rows."""
    block = new_block(sum(map(len, rows_of_bytes)))
    block.numpy()[:] = np.frombuffer(b"".join(rows_of_bytes), np.uint8)
    return block


def stack(samples):
    """A collate: encoded images and labels, decoded straight to their place in the batch."""
    encoded, labels = zip(*samples)
    block = new_block(len(labels) * 3 * CROP * CROP * 4)
    images.augment_all(encoded, random, images.of_block(block))
    return block, torch.tensor(labels)


def batches(loader, workload):
    return Batches(loader, images.split if workload == "images" else partial(split_packed, dtype=PACKED[workload]))
