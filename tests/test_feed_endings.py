"""How a loader ends before its rows do: nothing is lost, nothing hangs, nothing is left behind."""

import contextlib
import gc
import json
import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import strop

pytest.importorskip("pyarrow")
from feed_rows import ROWS, csv, flat, make_table, open_numpy, write_rows  # noqa: E402

DEADLINE = 60  # seconds that a process may take; none comes near


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "strop" / "index"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("feed") / "train.parquet")


def threads():
    return len(os.listdir("/proc/self/task"))


def files():
    return len(os.listdir("/proc/self/fd"))


def test_a_loader_that_is_dropped_leaves_no_thread(rows):
    gc.collect()
    before = threads()
    loader = open_numpy(rows, workers=4)
    iterator = iter(loader)
    next(iterator)
    assert threads() >= before + 4
    del iterator, loader
    assert threads() == before


def test_thousands_of_loaders_leave_no_thread_and_no_file_open(rows, tmp_path):
    """Dropped before, amid and after what their readers do, and those that did not open."""
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(rows.read_bytes()[:-100])
    open_numpy(rows)  # what a process opens once
    gc.collect()
    before = threads(), files()
    for i in range(2000):
        loader = open_numpy(rows, workers=2, window=2, shuffle=True)
        for _ in zip(range(i % 7), loader):
            pass
        del loader
        with pytest.raises(strop.Corrupt):
            open_numpy(cut)
    gc.collect()
    assert (threads(), files()) == before


def test_readers_that_cannot_be_started_are_an_error(rows):
    code = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))  # room for a few hundred stacks
try:
    strop.feed.Loader(sys.argv[1], format="numpy", workers=1000)
except strop.Error as error:
    print(type(error).__name__, error)
print(sum(len(batch["label"]) for batch in strop.feed.Loader(sys.argv[1], format="numpy", workers=2)))
"""
    with python(code, rows) as process:
        output, error = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0 and "1000" in output and output.endswith(f"\n{ROWS}\n"), error


def test_a_consumer_that_raises_loses_no_row(rows):
    reference = open_numpy(rows, shuffle=True)
    epochs = [flat(reference) for _ in range(3)]
    for error in (ZeroDivisionError, KeyboardInterrupt):
        loader, given = open_numpy(rows, shuffle=True), []
        with pytest.raises(error):
            for batch in loader:
                given += batch["label"].tolist()
                if len(given) > 300:
                    raise error
        loader.load_state_dict(loader.state_dict())
        assert given + flat(loader) == epochs[0], "on where it stopped"
        with pytest.raises(error):
            for batch in loader:
                raise error
        assert flat(loader) == epochs[2], "or the next epoch"


@contextlib.contextmanager
def started(*command, **options):
    """A process that has told its first line, gone with the block."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def python(code, *arguments, **options):
    return started(sys.executable, "-c", "import os, sys, strop\n" + code, *arguments, **options)


READ_ON = """
loader = strop.feed.Loader(sys.argv[1], format="numpy", batch_size=1, workers=4)
while True:
    for batch in loader:
        print("reading", flush=True)
"""
PROGRESS = {**os.environ, "STROP_PROGRESS": "json"}  # a line of stderr every tenth of a second


def until_quiet(stream):
    """Reads until nothing came for half a second: the other side waits, or will at the next moment."""
    while select.select([stream], [], [], 0.5)[0]:
        assert os.read(stream.fileno(), 1 << 16)


def interrupt(process, timeout=DEADLINE):
    """Its status, and the last line that it wrote to stderr."""
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=timeout)
    return process.returncode, error.strip().rpartition("\n")[2]


# As Python always ends then (130 for a shell), and as the command line does.
INTERRUPTED = (-signal.SIGINT, "KeyboardInterrupt")
BENCH_INTERRUPTED = (130, "strop feed: interrupted; what was done is kept")


def test_ctrl_c_ends_a_process_that_reads(strop_bin, rows):
    with python(READ_ON, rows) as process:
        assert process.stdout.readline() == "reading\n"
        assert interrupt(process) == INTERRUPTED
    with started(strop_bin / "strop", "feed", "bench", rows, "--epochs", 10**9, env=PROGRESS) as process:
        assert "epoch" in process.stderr.readline()
        assert interrupt(process) == BENCH_INTERRUPTED


@pytest.fixture
def service(strop_bin, rows):
    with started(strop_bin / "strop-feed", "serve", rows, "--at", "grpc://127.0.0.1:0", "--json") as process:
        yield process, json.loads(process.stdout.readline())["location"] + "/train"


def test_ctrl_c_reaches_a_loader_that_waits_for_a_service(service):
    process, location = service
    with python(READ_ON, location) as reader:
        assert reader.stdout.readline() == "reading\n"
        process.send_signal(signal.SIGSTOP)  # it neither answers nor refuses
        until_quiet(reader.stdout)
        assert interrupt(reader, timeout=10) == INTERRUPTED, "closing waits for no service"


def test_ctrl_c_reaches_a_bench_that_waits_for_a_service(strop_bin, service):
    process, location = service
    with started(strop_bin / "strop", "feed", "bench", location, "--epochs", 10**9, env=PROGRESS) as bench:
        assert "epoch" in bench.stderr.readline()
        process.send_signal(signal.SIGSTOP)
        until_quiet(bench.stderr)
        assert interrupt(bench, timeout=10) == BENCH_INTERRUPTED


def bytes_read(process):
    return int(Path(f"/proc/{process.pid}/io").read_text().split()[1])


@pytest.mark.parametrize("by", ["python", "command line"])
def test_ctrl_c_reaches_a_loader_that_opens(strop_bin, tmp_path, cache, by):
    big = tmp_path / "big.csv"
    big.write_bytes(b"label,score\n" + b"1234567,0.25\n" * (12 << 20))
    opening = (python("strop.feed.Loader(sys.argv[1], format='numpy')", big) if by == "python" else
               started(strop_bin / "strop", "feed", "bench", big))
    with opening as process:
        while process.poll() is None and bytes_read(process) < 32 << 20:  # of 156 MiB
            pass
        assert interrupt(process) == (INTERRUPTED if by == "python" else BENCH_INTERRUPTED)
        assert not list(cache.glob("*")), "the pass over the file was ended, not waited for"
    open_numpy(big)


def written(process):
    """Files that a process has open or mapped to write, besides its three streams."""
    proc = Path(f"/proc/{process.pid}")
    flags = {fd.name: int((proc / "fdinfo" / fd.name).read_text().split()[3], 8) for fd in (proc / "fd").iterdir()}
    opened = [os.readlink(proc / "fd" / fd) for fd, flag in flags.items() if int(fd) > 2 and flag & os.O_ACCMODE]
    mapped = [line.split() for line in (proc / "maps").read_text().splitlines()]
    return [file for file in opened + [part[5] for part in mapped if part[1] == "rw-s"] if file.startswith("/")]


def test_a_killed_process_leaves_nothing_but_the_index(tmp_path, rows):
    (tmp_path / "rows.csv").write_bytes(csv(make_table()))
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(temporary), "XDG_CACHE_HOME": ""}
    beside = set(tmp_path.iterdir())
    for source, left in ((rows, 0), (tmp_path / "rows.csv", 1)):
        with python(READ_ON, source, env=environment) as process:
            assert process.stdout.readline() == "reading\n" and written(process) == []  # /dev/shm and /tmp among them
            process.kill()
            assert process.wait(timeout=DEADLINE) == -signal.SIGKILL
        kept = [path for path in home.rglob("*") if path.is_file()]
        assert len(kept) == left and all(path.match(".cache/strop/index/*.idx") for path in kept)
        assert set(tmp_path.iterdir()) == beside and not list(temporary.iterdir())


def test_a_process_killed_while_it_writes_an_index_harms_no_later_one(strop_bin, tmp_path, cache):
    path = tmp_path / "rows.csv"
    path.write_bytes(csv(make_table()))

    def few_bytes():  # the kernel kills at the first byte beyond
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    with started(strop_bin / "strop-feed", "bench", path, preexec_fn=few_bytes) as killed:
        assert killed.wait(timeout=DEADLINE) == -signal.SIGXFSZ
    assert [file.stat().st_size for file in cache.iterdir()] == [50]
    for _ in range(2):  # by a fresh index, then by that one
        assert flat(open_numpy(path)) == list(range(ROWS))
        (index,) = cache.iterdir()
        assert not index.name.startswith("."), "what the killed one left is cleared away"
