"""Fetching links: our client against img2dataset as its documentation runs it, alone and behind our proxy.

    boxcar fetch --setup
    python bench/fetch.py [--pictures N] [--rounds N] [--only WORD] [--case WORD]

Both ask the same local server (a process of its own, http and https) for the same links, in turn: pictures of a class
(two that shrink to 448, one that need not), some small ones, and some links that fail. Printed is CPU time per link,
of all processes of the client's side, that of a start (a run of a few links) taken off, and the ratio, peer over ours,
with its spread. In each round the floor is taken too: hashing, decoding, shrinking and encoding the same pictures,
nothing else (bench/web_floor.py); what either side takes is told as a multiple of that.
Then what arrived is compared: the state of every link, sizes, bytes where they are passed through, PSNR elsewhere.
"""

import argparse
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from web_compare import compare
from web_floor import floor
from web_pictures import CLASSES, SMALL, pictures

from pipelines.demo.server import misbehaving
from pipelines.fetch.setup import home, installed

# Every tenth link fails in one of these ways; every twentieth is a picture that is small enough as it is.
FAILING = ("not-found", "broken-for-ever", "html-as-jpg", "opted-out")
KINDS = 8  # different pictures of a class
FEW = 8  # links of a run that is to tell what a start costs
THREADS = 64  # as many as our client's connections
BOXCAR = (sys.executable, "-m", "pipelines.cli", "fetch", "cc3m", "--workers", "1", "--allow-host", "127.0.0.1")
_ROOT = Path(__file__).parents[1]


class Cost(NamedTuple):
    """CPU seconds of a run and of a start, and links that the former had more."""

    whole: float
    start: float
    links: int

    @property
    def per_link(self) -> float:
        """CPU milliseconds."""
        return (self.whole - self.start) * 1000 / self.links


@dataclass(frozen=True)
class Round:
    """What a run needs: the list of links (TSV: caption, TAB, link; ours without a header), and how it goes on."""

    folder: Path
    links: list[str]
    python: Path
    certificates: str

    def list(self, header: bool) -> Path:
        """The list, under the name of CC3M's, which ours knows."""
        path = self.folder / ("with-header.tsv" if header else "Train_GCC-training.tsv")
        rows = [f"picture {place}\t{link}" for place, link in enumerate(self.links)]
        path.write_text("\n".join([*(["caption\turl"] if header else []), *rows, ""]))
        return path


def ours(run: Round, out: Path) -> float:
    return _cpu([*BOXCAR, "--root", run.list(False).parent, "--out", out], run)


def guarded(run: Round, out: Path) -> float:
    return _cpu([*BOXCAR, "--root", run.list(False).parent, "--out", out, "--with", "img2dataset"], run)


def img2dataset(run: Round, out: Path) -> float:
    words = {
        "url_list": run.list(True),
        "input_format": "tsv",
        "url_col": "url",
        "caption_col": "caption",
        "output_format": "webdataset",
        "output_folder": out,
        "processes_count": 1,
        "thread_count": THREADS,
        "image_size": 448,
        "resize_mode": "keep_ratio",
        "resize_only_if_bigger": True,
        "skip_reencode": True,
        "compute_hash": "sha256",
        "enable_wandb": False,
    }
    return _cpu([run.python.with_name("img2dataset"), *(f"--{name}={value}" for name, value in words.items())], run)


CONTENDERS: dict[str, Callable[[Round, Path], float]] = {
    "ours": ours,
    "img2dataset": img2dataset,
    "img2dataset behind our proxy": guarded,
}


def _cpu(words: list[object], run: Round) -> float:
    environment = {**os.environ, "SSL_CERT_FILE": run.certificates, "NO_ALBUMENTATIONS_UPDATE": "1"}
    log = (run.folder / "log").open("w+b")
    child = subprocess.Popen(list(map(str, words)), cwd=_ROOT, env=environment, stdout=log, stderr=log)
    _, status, used = os.wait4(child.pid, 0)  # of the children that it waited for too
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        log.seek(0)
        sys.exit(f"{' '.join(map(str, words))} failed:\n{log.read().decode(errors='replace')[-3000:]}")
    log.close()
    return used.ru_utime + used.ru_stime


@contextmanager
def serving(folder: Path, secure: bool) -> Iterator[str]:
    words = [sys.executable, __file__, "--serve", str(folder), *(["--secure"] if secure else [])]
    with subprocess.Popen(words, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate()


def serve(folder: Path, secure: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if secure else None
    if context:
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    kinds = {path.stem: path.read_bytes() for path in folder.glob("*.jpg")}
    files = {f"{name}/{place}.jpg": data for name, data in kinds.items() for place in range(20_000)}
    with misbehaving(files, ssl_context=context) as server:
        print(server.url(""), flush=True)
        sys.stdin.read()


def links(base: str, kind: str, count: int) -> list[str]:
    return [base + _path(kind, place) for place in range(count)]


def _shade(kind: str, place: int) -> str:
    return f"{SMALL if place % 20 == 7 else kind}-{place % KINDS}"


def _path(kind: str, place: int) -> str:
    name = f"{_shade(kind, place)}/{place}.jpg"
    return f"{FAILING[place // 10 % len(FAILING)]}/{name}" if place % 10 == 3 else name


def certificate(folder: Path) -> str:
    """A certificate of 127.0.0.1 in ``folder``; the path of all that is trusted: the system's, and that one."""
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=bench"
    files = ["-keyout", "key.pem", "-out", "certificate.pem", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *words.split(), *files], cwd=folder, check=True, capture_output=True)
    system = ssl.get_default_verify_paths().cafile
    known = Path(system).read_text() if system else ""
    (folder / "trusted.pem").write_text(known + (folder / "certificate.pem").read_text())
    return str(folder / "trusted.pem")


def bare(kind: str, folder: Path, count: int) -> Cost:
    """The floor of so many links: those that fail cost nothing."""
    good = (place for place in range(count) if place % 10 != 3)
    return Cost(floor((folder / f"{_shade(kind, place)}.jpg").read_bytes() for place in good), 0, count)


def measured(
    kind: str, base: str, served: Path, run: Callable[[list[str], Path], Round], arguments: argparse.Namespace
) -> None:
    names = [name for name in CONTENDERS if name == "ours" or arguments.only in name]
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    floors: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="boxcar-bench-") as scratch:
        for place in range(arguments.rounds):
            floors.append(bare(kind, served, arguments.pictures))
            for name in names:
                folder = Path(scratch, f"{name.replace(' ', '-')}-{place}")
                few, many = folder / "few", folder / "many"
                for one in (few, many):
                    one.mkdir(parents=True)
                start = CONTENDERS[name](run(links(base, kind, FEW), few), few / "out")
                whole = CONTENDERS[name](run(links(base, kind, FEW + arguments.pictures), many), many / "out")
                costs[name].append(Cost(whole, start, arguments.pictures))
        print(f"\n{kind}, {base.partition(':')[0]}, {arguments.pictures} links, {arguments.rounds} rounds in turn")
        print(f"  floor: {statistics.median(cost.per_link for cost in floors):.2f} ms of CPU a link")
        for name in names:
            _print(name, costs, floors)
            if name != "ours":
                there = Path(scratch, f"{name.replace(' ', '-')}-0", "many", "out")
                print(f"    {compare(Path(scratch, 'ours-0', 'many', 'out'), there)}")


def _print(name: str, costs: dict[str, list[Cost]], floors: list[Cost]) -> None:
    each = [cost.per_link for cost in costs[name]]
    start = statistics.median(cost.start for cost in costs[name])
    spread = "" if name == "ours" else f"; / ours {_over(costs[name], costs['ours'])}"
    print(f"  {name}: {statistics.median(each):.2f} ms of CPU a link ({min(each):.2f} to {max(each):.2f}){spread}; "
          f"/ floor {_over(costs[name], floors)}; start {start:.1f} s")  # fmt: skip


def _over(costs: list[Cost], others: list[Cost]) -> str:
    ratios = sorted(cost.per_link / other.per_link for cost, other in zip(costs, others, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def versions(python: Path) -> str:
    """Of both sides: Python, and what decides speed."""
    mine = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "simplejpeg", "pillow"))
    asked = (
        "import sys; from importlib.metadata import version as v; print(sys.version.split()[0], *map(v, sys.argv[1:]))"
    )
    names = ("img2dataset", "opencv-python-headless", "albumentations")
    told = subprocess.run([python, "-c", asked, *names], capture_output=True, text=True, check=True).stdout.split()
    theirs = ", ".join(map(" ".join, zip(names, told[1:], strict=True)))
    return f"ours on Python {sys.version.split()[0]}: {mine}; theirs on Python {told[0]}: {theirs}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="contenders with this word in their name, beside ours")
    parser.add_argument("--case", default="", help="cases with this word in their name, such as https or 640x480")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--secure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.secure)
        return
    python = installed(home())
    print(f"{time.strftime('%Y-%m-%d')}; {versions(python)}")
    with tempfile.TemporaryDirectory(prefix="boxcar-bench-") as folder:
        for name, kind in CLASSES.items():
            for place, data in enumerate(pictures(kind, KINDS)):
                Path(folder, f"{name}-{place}.jpg").write_bytes(data)
        trusted = certificate(Path(folder))
        for scheme in ("http", "https"):
            with serving(Path(folder), scheme == "https") as base:
                for name in CLASSES:

                    def run(wanted: list[str], at: Path) -> Round:
                        return Round(at, wanted, python, trusted)

                    if arguments.case in f"{name}, {scheme},":
                        measured(name, base, Path(folder), run, arguments)


if __name__ == "__main__":
    main()
