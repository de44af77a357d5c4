"""SPDL: a Pipeline whose threads read, decode and fill whole batches, so that they leave the interpreter's lock for
long; its sink holds four batches. Every epoch builds a pipeline, as its users do; that takes milliseconds.

npy      a thread gathers a batch's rows from memory maps; the source permutes all rows.
parquet  a thread reads eight random row groups (pyarrow), mixes their rows and cuts batches from them.
folder   a thread reads and decodes a batch's files; the source permutes all files. simplejpeg and torch do the image
         step: FFmpeg by way of spdl.io (the form "ffmpeg") takes longer.
"""

import os
import random

import numpy as np
import spdl.io
import torch
from spdl.pipeline import PipelineBuilder

import images
import mapped
from data import CROP, MEAN, STD, image_files
from row_groups import RowGroups

PACKAGES = ("spdl", "torch", "pyarrow", "simplejpeg")
FORMS = {"vectors": ["npy", "parquet"], "images": ["folder", "ffmpeg"], "table": ["npy", "parquet"]}
WORKERS = (1, 2)


class Threads:
    """source(epoch) gives what a thread works on, work makes a batch of it, or yields several."""

    def __init__(self, source, work, workers):
        self.source, self.work, self.workers, self.epoch = source, work, workers, 0

    def __iter__(self):
        self.epoch += 1
        pipeline = (PipelineBuilder().add_source(self.source(self.epoch)).pipe(self.work, concurrency=self.workers)
                    .add_sink(4).build(num_threads=self.workers, use_thread_output_queue=True))
        with pipeline.auto_stop():
            yield from pipeline


def permuted(count, batch):
    """A source: the epoch's batches of row numbers."""
    def source(epoch):
        order = np.random.default_rng(epoch).permutation(count)
        return [order[begin:begin + batch] for begin in range(0, count, batch)]
    return source


def gathered(workload, workers, batch, folder):
    dataset = mapped.DATASETS[workload](folder)
    return Threads(permuted(len(dataset), batch), lambda chosen: dataset.split(dataset.__getitems__(chosen)), workers)


def windows(path, workers, batch):
    row_groups = RowGroups(path)

    def work(window):
        with row_groups.open() as file:
            for block in row_groups.read(file, window, batch, np.random.default_rng()):
                yield row_groups.split(block)

    return Threads(row_groups.windows, work, workers)


def decoded(form, workers, batch, folder):
    files = image_files(folder)
    decode = ffmpeg if form == "ffmpeg" else simplejpeg

    def work(chosen):
        paths, labels = zip(*(files[i] for i in chosen))
        return {"image": decode(paths), "label": torch.tensor(labels)}

    return Threads(permuted(len(files), batch), work, workers)


def simplejpeg(paths):
    out = torch.empty(len(paths), 3, CROP, CROP)
    images.augment_all(map(images.read, paths), random, out)
    return out


def ffmpeg(paths):
    """FFmpeg decodes, crops, resizes and flips; torch normalises the batch."""
    frames = []
    for path in paths:
        packets = spdl.io.demux_image(path)
        top, left, height, width = images.draw_crop(packets.height, packets.width, random)
        steps = f"crop={width}:{height}:{left}:{top},scale={CROP}:{CROP}:flags=bilinear"
        flip = ",hflip" if random.random() < 0.5 else ""
        frames.append(spdl.io.decode_packets(packets, filter_desc=f"{steps}{flip},format=pix_fmts=rgb24"))
    pixels = spdl.io.to_torch(spdl.io.convert_frames(frames)).permute(0, 3, 1, 2)
    scale = torch.tensor([1 / (255 * std) for std in STD]).view(3, 1, 1)
    shift = torch.tensor([mean / std for mean, std in zip(MEAN, STD)]).view(3, 1, 1)
    return torch.empty(len(paths), 3, CROP, CROP).copy_(pixels).mul_(scale).sub_(shift)


def open_loader(workload, form, workers, batch, folder):
    if form == "npy":
        return gathered(workload, workers, batch, folder)
    if form == "parquet":
        return windows(os.path.join(folder, f"{workload}.parquet"), workers, batch)
    return decoded(form, workers, batch, folder)
