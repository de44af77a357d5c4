"""strop.feed.Loader on Parquet, Arrow IPC, a folder or a tar: windows of eight row groups, mixed row by row; of images,
windows of eight times as many files as make a chunk. In the form "arrow, global" all rows are mixed, as those who gather
from memory maps do. The transforms are the readers' own."""

import os

import strop
from data import CROP, MEAN, STD
from strop.feed import Transform

PACKAGES = ("torch",)
FORMS = {"vectors": ["parquet", "arrow", "arrow, global"], "images": ["folder", "tar"],
         "table": ["parquet", "arrow", "arrow, global"]}
WORKERS = (1, 2)


def open_loader(workload, form, workers, batch, folder):
    if workload != "images":
        kind, _, order = form.partition(", ")
        return strop.feed.Loader(os.path.join(folder, f"{workload}.{kind}"), batch_size=batch, shuffle=True,
                                 order=order or "block", workers=workers)
    path, image, label = {"folder": ("images", "image", "label"), "tar": ("images.tar", "jpg", "cls")}[form]
    steps = [Transform(image, "decode"), Transform(image, "random_resized_crop", height=CROP, width=CROP),
             Transform(image, "flip", axis="horizontal"),
             Transform(image, "normalise", scale=1 / 255, mean=list(MEAN), std=list(STD))]
    if form == "tar":
        steps.append(lambda batch: {"image": batch[image], "label": batch[label]})
    return strop.feed.Loader(os.path.join(folder, path), batch_size=batch, shuffle=True, columns=[image, label],
                             transforms=steps, workers=workers)
