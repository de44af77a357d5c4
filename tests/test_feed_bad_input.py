"""What users give a loader: each bad input is one error that names what and where, and no row is lost or made up."""

import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest

import strop

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402
from feed_rows import GROUP, ROWS, csv, flat, make_table, open_numpy, write_rows  # noqa: E402

DEADLINE = 60  # seconds that a process may take; none comes near


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def rows(tmp_path):
    return write_rows(tmp_path / "train.parquet")


@contextlib.contextmanager
def fails(kind, *parts):
    """One line of exactly this class that tells all the parts."""
    with pytest.raises(kind) as caught:
        yield
    assert caught.type is kind and "\n" not in str(caught.value)
    for part in parts:
        assert str(part) in str(caught.value)


def run(*command, timeout=DEADLINE):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout)


def bench_fails(strop_bin, source, *parts):
    sources = source if isinstance(source, list) else [source]
    result = run(strop_bin / "strop", "feed", "bench", *sources)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith("strop feed: ") and result.stderr.count("\n") == 1
    for part in parts:
        assert str(part) in result.stderr


# What opens.

def parquet(table):
    file = io.BytesIO()
    write_rows(file, table)
    return file.getvalue()


def arrow(table, writer=pa.ipc.new_file):
    file = io.BytesIO()
    with writer(file, table.schema) as out:
        out.write_table(table, max_chunksize=GROUP)
    return file.getvalue()


def jsonl(table):
    return b"".join(b'{"label": %d}\n' % label for label in table["label"].to_pylist())


def tar_of(members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def tar(table):
    return tar_of((f"{label:06}.cls", b"%d" % label) for label in table["label"].to_pylist())


MAKERS = {"parquet": parquet, "arrow": arrow, "csv": csv, "jsonl": jsonl, "tar": tar}
SOUND = {kind: make(make_table(200)) for kind, make in MAKERS.items()}
STREAM = arrow(make_table(9), pa.ipc.new_stream)
CUT = len(SOUND["parquet"]) - 1
BAD_FOOTER = SOUND["parquet"][:-100] + b"\xff" * 92 + SOUND["parquet"][-8:]
MEND = "mend the row or leave it out"
AGAIN = "write or copy it again"
ACCEPTED = "Parquet, Arrow IPC, .csv, .tsv, .jsonl, .ndjson, .json, .tar and folders of images"


@pytest.mark.parametrize("name, content, kind, parts", [
    ("cut.parquet", SOUND["parquet"][:CUT], strop.Corrupt, ["is cut short", f"{CUT} bytes", AGAIN]),
    ("footer.parquet", BAD_FOOTER, strop.Corrupt, ["is damaged", AGAIN]),
    ("cut.arrow", SOUND["arrow"][:3000], strop.Corrupt, ["is cut short", "3000 bytes", AGAIN]),
    ("cut.tar", SOUND["tar"][:1200], strop.Corrupt, ["byte 1024, after member 000000.cls", "within a header", AGAIN]),
    ("cut.csv", b"label,score\n1,0.5\n2", strop.Corrupt, ["line 3 (byte 18)", "Expected 2 columns, got 1", MEND]),
    ("cut.jsonl", b'{"label": 1}\n{"lab', strop.Corrupt, ["line 2 (byte 13)", '"{"lab"', MEND]),
    ("empty.parquet", b"", strop.Corrupt, ["(0 bytes)", ACCEPTED]),
    ("empty.arrow", b"", strop.Corrupt, ["(0 bytes)", ACCEPTED]),
    ("empty.tar", b"", strop.Corrupt, ["ends after 0 bytes", AGAIN]),
    ("empty.csv", b"", strop.InvalidArgument, ["is empty", "begins with a line of column names"]),
    ("empty.jsonl", b"", strop.InvalidArgument, ["has no rows", "leave it out, or write it again"]),
    ("header.csv", b"label,score\n", strop.InvalidArgument, ["has a header and no rows", "leave it out"]),
    ("none.parquet", parquet(make_table(0)), strop.InvalidArgument, ["has no rows"]),
    ("none.arrow", arrow(make_table(0)), strop.InvalidArgument, ["has no rows"]),
    ("text.parquet", b"label,score\n1,0.5\n", strop.Corrupt, ["(18 bytes)", "neither Parquet nor Arrow IPC", ACCEPTED]),
    ("rows.csv.gz", gzip.compress(b"label\n1\n"), strop.Corrupt, ["neither Parquet nor Arrow IPC", ACCEPTED]),
    ("parquet.csv", SOUND["parquet"], strop.Corrupt, ["line 1 (byte 0) is not UTF-8", '"PAR1']),
    ("parquet.jsonl", SOUND["parquet"], strop.Corrupt, ["line 1 (byte 0) is not UTF-8", '"PAR1']),
    ("parquet.tar", SOUND["parquet"], strop.Corrupt, ["no whole tar archive: byte 0, the first member", AGAIN]),
    ("text.csv", b"Dear all,\n\nplease find it\n", strop.Corrupt, ["line 3 (byte 11)", '"please find it"', MEND]),
    ("stream.arrow", STREAM, strop.Unsupported, ["is an Arrow IPC stream", "strop feed convert"]),
])
def test_a_bad_file_is_one_line_in_python_and_on_the_command_line(strop_bin, tmp_path, name, content, kind, parts):
    path = tmp_path / name
    path.write_bytes(content)
    with fails(kind, path, *parts):
        open_numpy(path)
    bench_fails(strop_bin, path, path, *parts)


def test_a_file_that_is_what_another_name_says_is_read(tmp_path):
    (tmp_path / "rows.arrow").write_bytes(SOUND["parquet"])
    (tmp_path / "rows.bin").write_bytes(SOUND["arrow"])
    assert flat(open_numpy(tmp_path / "rows.arrow")) == flat(open_numpy(tmp_path / "rows.bin")) == list(range(200))


def test_what_is_not_there_is_named(strop_bin, tmp_path):
    for source in (tmp_path / "nothing.parquet", tmp_path / "no*.parquet", tmp_path / "nowhere" / "*.parquet"):
        with fails(strop.NotFound, f"no file matches {source}"):
            open_numpy(source)
        bench_fails(strop_bin, source, f"no file matches {source}")
    with pytest.raises(FileNotFoundError):
        open_numpy(tmp_path / "nothing.parquet")
    with fails(strop.InvalidArgument, "a source is empty: expected a path, a glob or grpc://HOST:PORT/NAME"):
        open_numpy([])
    with fails(strop.InvalidArgument, f"{tmp_path} is a folder without images", f'named as in "{tmp_path}/*.parquet"'):
        open_numpy(tmp_path)
    (tmp_path / "link.parquet").symlink_to(tmp_path / "nothing.parquet")
    with fails(strop.NotFound, "link.parquet: no such file"):
        open_numpy(tmp_path / "link.parquet")


def test_names_that_are_no_utf8_are_told_too(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/r\xff.parquet")  # as os.listdir gives it
    with open(path, "wb") as file:
        file.write(SOUND["parquet"])
    assert flat(open_numpy(path)) == flat(open_numpy(tmp_path / "*.parquet")) == list(range(200))
    os.truncate(path, 1000)
    for source in (path, tmp_path / "*.parquet"):
        with fails(strop.Corrupt, tmp_path, ".parquet is cut short"):
            open_numpy(source)


def test_a_named_pipe_is_refused_at_once(tmp_path):
    pipe = tmp_path / "rows.parquet"
    os.mkfifo(pipe)
    done = run(sys.executable, "-c", f"import strop; strop.feed.Loader({str(pipe)!r}, format='numpy')", timeout=10)
    assert f"strop.InvalidArgument: {pipe} is not a file" in done.stderr


def test_files_that_differ_are_named_with_what_differs(strop_bin, rows, tmp_path):
    label = pa.array(np.arange(64, dtype=np.int32))
    other = tmp_path / "other.parquet"
    for table, parts in (
        (make_table(64).set_column(1, "label", [label]), [f"column label is int32[], but int64[] in {rows}"]),
        (make_table(64).drop_columns(["score"]), ['has no column "score"; its columns: image, label, name']),
    ):
        pq.write_table(table, other)
        with fails(strop.InvalidArgument, other, *parts):
            open_numpy([rows, other])
        bench_fails(strop_bin, [rows, other], other, *parts)
    pq.write_table(make_table(64, first=ROWS).append_column("more", [label]), other)
    assert flat(open_numpy([rows, other])) == list(range(ROWS + 64)), "a column more is left out"


def test_wrong_values_are_named(rows):
    with fails(strop.InvalidArgument, f'{rows} has no column "imgae"; its columns: image, label, score, name'):
        open_numpy(rows, columns=["imgae"])
    with fails(strop.InvalidArgument, "batch_size is 0: expected 1 or more"):
        open_numpy(rows, batch_size=0)
    with fails(strop.InvalidArgument, 'uneven is "even": expected one of repeat, ragged, drop'):
        open_numpy(rows, uneven="even")
    with fails(strop.InvalidArgument, 'on_error is "ignore": expected one of stop, skip'):
        open_numpy(rows, on_error="ignore")
    with fails(strop.InvalidArgument, "format is 'jax': expected one of torch, numpy, arrow, dlpack"):
        open_numpy(rows, format="jax")
    for option, value in (("batch_size", "many"), ("seed", -1), ("window", 1.5), ("columns", [3])):
        with fails(strop.InvalidArgument, f"{option} is {value!r}: expected "):
            open_numpy(rows, **{option: value})
    with fails(strop.InvalidArgument, "epoch is -1: expected "):
        open_numpy(rows).set_epoch(-1)
    with fails(strop.FailedPrecondition, "another line of rows"):
        open_numpy(rows, seed=1).load_state_dict(open_numpy(rows, seed=2).state_dict())
    with fails(strop.InvalidArgument, "not a loader state"):
        open_numpy(rows).load_state_dict({"epoch": 1})


def test_more_ranks_than_rows(tmp_path):
    few = tmp_path / "few.parquet"
    pq.write_table(make_table(5), few)

    def parts(uneven):
        return [flat(open_numpy(few, rank=rank, world_size=8, uneven=uneven, shuffle=True)) for rank in range(8)]

    repeated = parts("repeat")
    assert [len(part) for part in repeated] == [1] * 8 and {row for part in repeated for row in part} == set(range(5))
    assert sorted(row for part in parts("ragged") for row in part) == list(range(5))
    with fails(strop.InvalidArgument, few, "5 rows for 8 ranks", 'uneven = "drop"', 'or "repeat"'):
        parts("drop")


@pytest.fixture
def without_privileges():
    """What to put before a command so that files' modes bind it, whoever runs the tests."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root reads everything, and there is no setpriv that takes this away")
    bound = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={bound}", f"--inh-caps={bound}"]


@pytest.mark.parametrize("source, locked", [("rows/*.parquet", "rows"), ("rows/a.parquet", "rows"),
                                            ("rows/a.parquet", "rows/a.parquet"), ("rows/a.csv", "rows/a.csv"),
                                            ("images", "images"), ("images", "images/cat")])
def test_what_may_not_be_read_is_named(strop_bin, tmp_path, without_privileges, source, locked):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.parquet").write_bytes(SOUND["parquet"])
    (tmp_path / "rows" / "a.csv").write_bytes(SOUND["csv"])
    (tmp_path / "images" / "cat").mkdir(parents=True)
    (tmp_path / "images" / "cat" / "a.jpg").write_bytes(b"")
    (tmp_path / locked).chmod(0)
    try:
        done = run(*without_privileges, strop_bin / "strop", "feed", "bench", tmp_path / source)
    finally:
        (tmp_path / locked).chmod(0o755)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert str(tmp_path / locked) in done.stderr and "Permission denied" in done.stderr


# What goes wrong later.

def test_a_damaged_page_stops_there_or_is_replaced(strop_bin, rows):
    content = bytearray(rows.read_bytes())
    at = content.index(bytes((200 * 31 + np.arange(12) * 7).astype(np.uint8)))  # row 200, in row group 3
    content[at:at + 4] = b"oops"
    rows.write_bytes(content)
    told = [f"{rows}, row group 3", "CRC checksum", "write the file again", 'go on without it by on_error = "skip"']
    loader, given = open_numpy(rows), []
    with fails(strop.Corrupt, *told):
        for batch in loader:
            given += batch["label"].tolist()
    assert given == list(range(3 * GROUP)), "whatever comes before it is given"
    loader.load_state_dict(loader.state_dict())
    with fails(strop.Corrupt, *told):
        next(iter(loader))
    bench_fails(strop_bin, rows, *told)
    skipping = open_numpy(rows, on_error="skip")
    expected = list(range(ROWS))
    expected[3 * GROUP:4 * GROUP] = range(4 * GROUP, 5 * GROUP)
    assert flat(skipping) == expected and skipping.stats()["skipped_chunks"] >= 1
    bench = run(strop_bin / "strop", "feed", "bench", rows, "--on-error", "skip", "--json")
    assert bench.returncode == 0 and json.loads(bench.stdout)["skipped_chunks"] >= 1


@pytest.mark.parametrize("name, content, where", [
    ("rows.parquet", parquet(pa.table({"label": [1, None]})), "row group 0: column label is null in row 1"),
    ("rows.arrow", arrow(pa.table({"label": [1, None]})), "record batch 0: column label is null in row 1"),
    ("rows.csv", b"label,score\n1,2\n,4\n", "the rows from line 2 on: column label is null in row 1"),
    ("rows.jsonl", b'{"label": 1}\n{"label": null}\n', "the rows from line 1 on: column label is null in row 1"),
])
def test_a_null_is_named_with_its_file(strop_bin, tmp_path, name, content, where):
    (tmp_path / name).write_bytes(content)
    with fails(strop.InvalidArgument, f"{tmp_path / name}, {where}", "fill it or leave the row out"):
        list(open_numpy(tmp_path / name))
    bench_fails(strop_bin, tmp_path / name, f"{tmp_path / name}, {where}")


@pytest.mark.parametrize("column", ["name", "list"])
def test_lengths_that_are_damaged_are_an_error_not_a_crash(tmp_path, column):
    """Arrow IPC has no checksums, so where a text or list ends may be anything."""
    lists = pa.array([[i] * 5 for i in range(200)], pa.list_(pa.int64()))
    names = pa.array([f"{i:05}" for i in range(200)])
    content = bytearray(arrow(pa.table({"label": np.arange(200), "name": names, "list": lists})))
    ends = np.arange(0, 5 * GROUP + 1, 5, dtype=np.int32).tobytes()
    at = content.index(ends, 0 if column == "name" else content.index(ends) + 1)
    for end in (b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00\x00\x00\x10"):
        content[at + 160:at + 164] = end
        (tmp_path / "rows.arrow").write_bytes(content)
        code = (f"import strop; loader = strop.feed.Loader({str(tmp_path / 'rows.arrow')!r}, format='numpy', "
                f"columns=['label', {column!r}], on_error=ON_ERROR)\n"
                "print(len([label for batch in loader for label in batch['label']]))")
        stopped = run(sys.executable, "-c", code.replace("ON_ERROR", "'stop'"))
        assert stopped.returncode == 1 and "strop.Corrupt" in stopped.stderr, stopped
        assert f"{tmp_path / 'rows.arrow'}, record batch 0 cannot be read" in stopped.stderr
        assert run(sys.executable, "-c", code.replace("ON_ERROR", "'skip'")).stdout == "200\n"


@pytest.fixture(params=["tar", "folder"])
def images(request, tmp_path):
    """600 images, of which number 300 is cut short: the source, and how an error calls that image."""
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.new("RGB", (8, 8), (200, 100, 50)).save(file, "JPEG")
    contents = [file.getvalue()] * 600
    contents[300] = contents[300][:-40]
    if request.param == "tar":
        samples = enumerate(contents)
        members = [pair for i, bytes in samples for pair in ((f"{i:03}.jpg", bytes), (f"{i:03}.cls", b"%d" % i))]
        (tmp_path / "images.tar").write_bytes(tar_of(members))
        return tmp_path / "images.tar", "jpg", "cls", [tmp_path / "images.tar", "300"]
    (tmp_path / "images").mkdir()
    for i, content in enumerate(contents):
        (tmp_path / "images" / f"{i:03}.jpg").write_bytes(content)
    return tmp_path / "images", "image", "path_length", [tmp_path / "images" / "300.jpg"]


def test_an_image_cut_short_is_named_or_replaced(images):
    source, column, counted, where = images

    def opened(**options):
        transforms = [strop.feed.Transform(column, "decode", height=8, width=8)]
        return open_numpy(source, transforms=transforms, **options)

    given = 0
    with fails(strop.Corrupt, *where, f"column {column}", "decode", "Premature end of JPEG file", 'on_error = "skip"'):
        for batch in opened():
            given += len(batch[counted])
    assert given == 256, "the images of the row group before it"
    loader = opened(on_error="skip")
    batches = list(loader)
    assert sum(len(batch[counted]) for batch in batches) == 600 and loader.stats()["skipped_chunks"] >= 1
    if counted == "cls":
        labels = [label for batch in batches for label in batch["cls"].tolist()]
        assert labels == [*range(300), 301, *range(301, 600)], "the one after it, label and all"
    # Every image is the same one but the one that was cut, so none of it came through.
    assert all((batch[column] == batches[0][column][0]).all() for batch in batches)


@pytest.mark.parametrize("images", ["tar"], indirect=True)
def test_an_image_that_is_lost_takes_the_one_after_it_going_round(images):
    source, column, _, _ = images
    with tarfile.open(source) as archive:
        whole, cut = (archive.extractfile(f"{i}.jpg").read() for i in (299, 300))
    for sound, given in (("0110", [1, 1, 2, 1]), ("1000", [0] * 4), ("1111", [0, 1, 2, 3])):
        members = [((f"{i}.jpg", whole if bit == "1" else cut), (f"{i}.cls", b"%d" % i)) for i, bit in enumerate(sound)]
        source.write_bytes(tar_of(member for pair in members for member in pair))
        transforms = [strop.feed.Transform(column, "decode", height=8, width=8)]
        for rank in (0, 1, 2):
            loader = open_numpy(source, transforms=transforms, on_error="skip", rank=max(rank - 1, 0),
                                world_size=min(rank + 1, 2))
            expected = given if rank == 0 else given[:2] if rank == 1 else given[2:]
            assert [label for batch in loader for label in batch["cls"].tolist()] == expected


FILES, FILE_ROWS, LOST = 24, 64, 20  # more files than a reader keeps open, and one that is far ahead


class Shards:
    """Files of one kind, of which one will be lost while a loader reads them in order."""

    def __init__(self, folder, kind):
        self.pattern, self.column = folder / f"*.{kind}", "cls" if kind == "tar" else "label"
        self.lost, self.away = folder / f"{LOST:03}.{kind}", folder / "away"
        for i in range(FILES):
            (folder / f"{i:03}.{kind}").write_bytes(MAKERS[kind](make_table(FILE_ROWS, first=i * FILE_ROWS)))

    def begin(self, **options):
        """A loader and its rows to come; no reader has opened the file that will be lost."""
        loader = open_numpy(self.pattern, workers=1, prefetch=1, columns=[self.column], **options)
        iterator = self.rows(loader)
        assert next(iterator) == 0
        return loader, iterator

    def rows(self, loader):
        for batch in loader:
            yield from batch[self.column].tolist()


BEFORE, OF_LOST = list(range(1, LOST * FILE_ROWS)), set(range(LOST * FILE_ROWS, (LOST + 1) * FILE_ROWS))


@pytest.mark.parametrize("kind", MAKERS)
def test_a_file_that_vanishes_stops_there_or_is_replaced(tmp_path, kind):
    shards, given = Shards(tmp_path, kind), []
    loader, rest = shards.begin()
    shards.lost.rename(shards.away)
    with fails(strop.Io, shards.lost, "is gone", "put it back"):
        given.extend(rest)
    assert given == BEFORE
    shards.away.rename(shards.lost)
    loader.load_state_dict(loader.state_dict())
    assert given + list(shards.rows(loader)) == list(range(1, FILES * FILE_ROWS)), "it goes on where it stopped"

    loader, rest = shards.begin(on_error="skip")
    shards.lost.rename(shards.away)
    given = [0, *rest]
    assert len(given) == FILES * FILE_ROWS and loader.stats()["skipped_chunks"] >= 1
    assert set(range(FILES * FILE_ROWS)) - set(given) == OF_LOST


CHANGES = {
    "other rows": lambda table: make_table(FILE_ROWS, first=10**6),
    "fewer rows": lambda table: make_table(FILE_ROWS // 2),
    "another type": lambda table: table.set_column(1, "label", [table["label"].cast(pa.int32())]),
    "other columns": lambda table: table.drop_columns(["label"]),
}


@pytest.mark.parametrize("kind, change", [(kind, change) for kind in MAKERS for change in CHANGES
                                          if change == "other rows" or kind in ("parquet", "arrow")])
def test_a_file_that_is_replaced_while_it_is_read_is_no_data(tmp_path, kind, change):
    shards = Shards(tmp_path, kind)
    fresh = tmp_path / "fresh"
    for on_error in ("stop", "skip"):
        loader, rest = shards.begin(on_error=on_error)
        fresh.write_bytes(MAKERS[kind](CHANGES[change](make_table(FILE_ROWS, first=LOST * FILE_ROWS))))
        shards.lost.rename(shards.away)
        fresh.rename(shards.lost)
        given = []
        if on_error == "stop":
            with fails(strop.Corrupt, shards.lost, "was changed while it is read", "open it again"):
                given.extend(rest)
            assert given == BEFORE
        else:
            given.extend(rest)
            assert len(given) == FILES * FILE_ROWS - 1 and loader.stats()["skipped_chunks"] >= 1
            assert set(given) == set(range(1, FILES * FILE_ROWS)) - OF_LOST
        shards.away.rename(shards.lost)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_file_that_is_written_over_in_its_place_is_no_data(tmp_path, kind):
    path, column = tmp_path / f"rows.{kind}", "cls" if kind == "tar" else "label"
    path.write_bytes(MAKERS[kind](make_table(100 * GROUP, first=10**6)))
    loader = open_numpy(path, workers=1, prefetch=1, columns=[column])
    next(iter(loader))
    path.write_bytes(MAKERS[kind](make_table(100 * GROUP, first=2 * 10**6)))
    with fails(strop.Corrupt, path, "was changed while it is read", "open it again"):
        for batch in loader:
            assert (batch[column] < 2 * 10**6).all(), "rows of another file"
