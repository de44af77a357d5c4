"""A guest of several NUMA nodes, and where the kernel in it puts a loader's readers and the pages of its batches.

    STROP_BUILD=build/dev python bench/claims/numa_guest.py        a line a loader, for a look by hand

qemu boots a kernel of Debian with an initramfs of strop_feed_numa_pages, what it links to and a Parquet file, and one
loader after the other reads that file. The guest is emulated (TCG): it tells where things lie, never how fast they are.
The nodes and their CPUs are what qemu was told; the guest's kernel must see the same.
"""

import collections
import dataclasses
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "build/data/fashion/test.parquet"
SECONDS = 240  # a guest of eight CPUs takes 25 on two
NODE_MIB = 512
# hwloc then sees one node, and Strop binds nothing: the null method.
ONE_NODE = "HWLOC_SYNTHETIC='package:1 numa:1 core:{cpus} pu:1'"


class GuestError(Exception):
    pass


@dataclasses.dataclass
class Layout:
    sockets: int
    nodes_a_socket: int
    cpus_a_node: int
    gpu_node: int  # where its only display device lies

    @property
    def nodes(self) -> int:
        return self.sockets * self.nodes_a_socket

    @property
    def cpus(self) -> int:
        return self.nodes * self.cpus_a_node

    def node_of(self, cpu: int) -> int:
        return cpu // self.cpus_a_node

    def distance(self, a: int, b: int) -> int:
        return 10 if a == b else 12 if a // self.nodes_a_socket == b // self.nodes_a_socket else 21

    def arguments(self) -> list[str]:
        shape = f"{self.cpus},sockets={self.sockets},dies={self.nodes_a_socket},cores={self.cpus_a_node},threads=1"
        out = ["-smp", shape, "-m", f"{self.nodes * NODE_MIB}M"]
        for node in range(self.nodes):
            first = node * self.cpus_a_node
            out += ["-object", f"memory-backend-ram,id=memory{node},size={NODE_MIB}M", "-numa",
                    f"node,nodeid={node},memdev=memory{node},cpus={first}-{first + self.cpus_a_node - 1}"]
        for a in range(self.nodes):
            for b in range(a + 1, self.nodes):
                out += ["-numa", f"dist,src={a},dst={b},val={self.distance(a, b)}"]
        return [*out, "-device", f"pxb-pcie,id=far,bus_nr=64,numa_node={self.gpu_node}", "-device",
                "pcie-root-port,id=slot1,bus=far,chassis=1", "-device", "bochs-display,bus=slot1"]


@dataclasses.dataclass
class Look:
    """A loader in the guest: what was asked of it, and what the guest's kernel answered."""
    node: int  # of the consumer
    readers: int
    batch: int
    before: int | None = None  # where the process had a loader before
    gpu: bool = False  # the consumer feeds the display device: its node counts then
    binds: bool = True
    found: dict = dataclasses.field(default_factory=dict)

    def command(self, layout: Layout) -> str:
        null = "" if self.binds else ONE_NODE.format(cpus=layout.cpus) + " "
        before = "" if self.before is None else f" {self.before}"
        gpu = 0 if self.gpu else -1
        return f"{null}/numa_pages /data.parquet {self.readers} {self.batch} {gpu} {self.node}{before}"


LAYOUTS = [Layout(2, 1, 2, 1), Layout(2, 2, 2, 3)]  # two sockets; two sockets of two sub-NUMA clusters each


def looks(layout: Layout) -> list[Look]:
    """As many readers as the node has CPUs, or one; bound by Strop, and the same with nothing bound."""
    out = []
    for node in range(layout.nodes):
        for readers in (1, layout.cpus_a_node):
            out += [Look(node, readers, batch, before) for batch in (256, 4096)
                    for before in (None, (node + 1) % layout.nodes)]
            out += [Look(node, readers, 256, binds=False)]
    return [*out, Look(0, layout.cpus_a_node, 256, gpu=True)]


def tally(layout: Layout, done: list[Look]) -> collections.Counter:
    """CPUs that readers may run on or ran on, and pages of batches; and how many lie on another node."""
    out = collections.Counter(loaders=len(done), pages=0, pages_crossing=0, reader_cpus=0, reader_cpus_crossing=0)
    for look in done:
        home = layout.gpu_node if look.gpu else look.node
        for reader in look.found["readers"]:
            for cpu in {*reader["cpus"], reader["ran_on"]}:
                out["reader_cpus"] += 1
                out["reader_cpus_crossing"] += layout.node_of(cpu) != home
        for epoch in look.found["pages"]:
            out["pages"] += sum(epoch.values())
            out["pages_crossing"] += sum(pages for node, pages in epoch.items() if int(node) != home)
    return out


def kernel() -> Path | None:
    """The newest that apt-get download has brought (docs/claims.md), else this machine's."""
    for folder in (ROOT / "build/guest/boot", Path("/boot")):
        found = [path for path in folder.glob("vmlinuz-*") if os.access(path, os.R_OK)]
        if found:
            return max(found, key=lambda path: [int(digits) for digits in re.findall(r"\d+", path.name)])
    return None


def program() -> Path:
    return Path(os.environ["STROP_BUILD"]).resolve() / "src/strop/feed/strop_feed_numa_pages"


def missing() -> str | None:
    """Why no guest can run here."""
    if os.environ.get("STROP_CLAIM_GUEST") == "0":
        return "STROP_CLAIM_GUEST=0"
    if platform.machine() != "x86_64":
        return f"the guest is of x86_64, this machine is {platform.machine()}"
    for tool in ("qemu-system-x86_64", "busybox"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if kernel() is None:
        return "no kernel in build/guest/boot or /boot that can be read"
    return None if program().exists() else f"{program().name} is not built"


def libraries(binary: Path) -> dict[str, Path]:
    """By the path in the guest. The loader of programs keeps its own path, all else is found in /lib."""
    done = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True, timeout=60)
    out = {}
    for line in done.stdout.splitlines():
        if found := re.match(r"\s*(\S+) => (/\S+)", line):
            out[f"/lib/{found[1]}"] = Path(found[2])
        elif found := re.match(r"\s*(/\S+)", line):
            out[found[1]] = Path(found[1])
    return out


def init(layout: Layout, cases: list[Look]) -> str:
    lines = ["#!/bin/busybox sh", "export PATH=/bin LD_LIBRARY_PATH=/lib", "/bin/busybox --install -s /bin",
             "mount -t proc proc /proc", "mount -t sysfs sysfs /sys",
             "for node in /sys/devices/system/node/node*; do echo \"@cpus $(cat $node/cpulist)\"; done"]
    lines += [f'echo "@{i} $({look.command(layout)} 2>&1)"' for i, look in enumerate(cases)]
    return "\n".join([*lines, "echo @end", "poweroff -f", ""])


def archive(files: dict[str, bytes]) -> bytes:
    """cpio's newc format (Documentation/driver-api/early-userspace/buffer-format.rst): the folders, then the files."""
    folders = {str(folder) for name in files for folder in Path(name).parents} | {"/proc", "/sys"}
    entries = [(name, 0o40755, b"") for name in sorted(folders - {"/"})]
    entries += [(name, 0o100755, data) for name, data in files.items()] + [("/TRAILER!!!", 0, b"")]
    out = bytearray()
    for inode, (path, mode, data) in enumerate(entries, 1):
        name = path[1:].encode() + b"\0"
        numbers = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        out += b"070701" + b"".join(b"%08X" % number for number in numbers) + name
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def initramfs(layout: Layout, cases: list[Look]) -> bytes:
    files = {"/bin/busybox": Path(shutil.which("busybox")), "/numa_pages": program(), "/data.parquet": DATA}
    files |= libraries(program())
    return archive({name: path.read_bytes() for name, path in files.items()} | {"/init": init(layout, cases).encode()})


def boot(layout: Layout, image: Path, crashes: int = 2) -> str:
    """What the guest said on its console. It ends by itself, or is ended after SECONDS. qemu 7.2 itself crashes now and
    then with several emulated CPUs: a guest whose emulator was ended by a signal is booted again, at most so often."""
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-nodefaults",
               "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio",
               "-kernel", str(kernel()), "-initrd", str(image), "-append", "console=ttyS0 quiet panic=-1",
               *layout.arguments()]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=SECONDS)
    except subprocess.TimeoutExpired as expired:
        raise GuestError(f"the guest did not end in {SECONDS} s: {(expired.stdout or b'')[-400:]}") from None
    if done.returncode < 0 and crashes > 0:
        print(f"qemu was ended by signal {-done.returncode}; booting the guest again", file=sys.stderr)
        return boot(layout, image, crashes - 1)
    if done.returncode != 0 or "@end" not in done.stdout:
        raise GuestError(f"the guest ended with {done.returncode}: {done.stderr[-400:]} {done.stdout[-400:]}")
    return done.stdout


def run(layout: Layout) -> list[Look]:
    """Every look in one boot. Throws GuestError."""
    cases = looks(layout)
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "initramfs"
        image.write_bytes(initramfs(layout, cases))
        said = re.findall(r"@(\w+) (.*)", boot(layout, image))
    cpus = [f"{node * layout.cpus_a_node}-{(node + 1) * layout.cpus_a_node - 1}" for node in range(layout.nodes)]
    if (seen := [text.strip() for key, text in said if key == "cpus"]) != cpus:
        raise GuestError(f"the guest has nodes of CPUs {seen}, not {cpus}")
    answers = {key: text for key, text in said}
    for i, look in enumerate(cases):
        try:
            look.found = json.loads(answers[str(i)])
        except (KeyError, ValueError):
            raise GuestError(f"{look.command(layout)}: {answers.get(str(i), 'no answer')}") from None
        if len(look.found["readers"]) != look.readers or look.found["consumer"] != look.node:
            raise GuestError(f"{look.command(layout)}: another number of readers or node: {look.found}")
    return cases


if __name__ == "__main__":
    if why := missing():
        raise SystemExit(f"not run: {why}")
    for each in LAYOUTS:
        for one in run(each):
            print(json.dumps(dataclasses.asdict(one)))
