"""The corpus of the ladder: build it from Debian packages, and check that it is the one the ladder was trained on.

Text of the packages in `corpus.toml`, byte for byte, is cut into blocks at line ends; the blocks are shuffled, so that
every part of the corpus is like every other; the first ones are held out. Needs only Python, `apt-get` and `dpkg-deb`:

    python data/ladder/corpus.py
"""

from __future__ import annotations

import gzip
import hashlib
import random
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
WORK = Path(".ladder")
"""Where large files go, seen from the folder one works in: never into the repository."""
FOLDER = WORK / "corpus"
"""Where the built corpus lies: `train.bin` and `heldout.bin`, one byte a token."""


class CorpusError(Exception):
    """The corpus cannot be built, or is not the one the ladder was trained on."""


def recipe() -> dict:
    """Return what `corpus.toml` says."""
    return tomllib.loads((HERE / "corpus.toml").read_text(encoding="utf-8"))


def download(package: dict, folder: Path) -> Path:
    """Fetch one package file from the machine's own Debian sources, and check that it is the one named."""
    wanted = f"{package['name']}={package['version']}"
    try:
        found = subprocess.run(["apt-get", "download", wanted], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CorpusError(
            "There is no apt-get here: build the corpus on Debian 12, or a container of it, and copy the folder."
        ) from None
    files = list(folder.glob(f"{package['name']}_*.deb"))
    if not files:
        raise CorpusError(
            f"apt-get finds no {wanted}: {found.stderr.strip().splitlines()[-1:]}. It is of Debian 12 (bookworm); where the "
            f"sources are of another release, put the file of that version into {FOLDER} and run again."
        )
    return files[0]


def checked(path: Path, package: dict) -> Path:
    """Return the package file, or say that its bytes are not those of the recipe."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != package["sha256"]:
        raise CorpusError(f"{path.name} has the SHA-256 {digest}; the recipe wants {package['sha256']}.")
    return path


def text_of(path: Path, package: dict, folder: Path) -> bytes:
    """Unpack one package file and join the text files that the recipe names, in the order of their paths."""
    subprocess.run(["dpkg-deb", "--extract", str(path), str(folder)], check=True)
    files = sorted(file for file in folder.glob(package["files"]) if not file.is_symlink())
    if not files:
        raise CorpusError(f"{path.name} holds no {package['files']}.")
    return b"".join(gzip.decompress(file.read_bytes()) for file in files)


def blocks_of(text: bytes, size: int) -> list[bytes]:
    """Cut a text at the first line end after each `size` bytes."""
    blocks, start = [], 0
    while start < len(text):
        end = text.find(b"\n", start + size) + 1 or len(text)
        blocks.append(text[start:end])
        start = end
    return blocks


def digest_of(heldout: bytes, train: bytes) -> str:
    """SHA-256 over the held-out text and then the training text."""
    return hashlib.sha256(heldout + train).hexdigest()


def build() -> dict[str, int]:
    """Build the corpus, check its digest, and return how many bytes each package gave."""
    wanted, parts, sizes = recipe(), [], {}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for package in wanted["package"]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            here = list(FOLDER.glob(f"{package['name']}_*.deb"))
            file = checked(here[0] if here else download(package, folder), package)
            text = text_of(file, package, folder / "unpacked")
        sizes[package["name"]] = len(text)
        parts += blocks_of(text, wanted["block_bytes"])
    random.Random(wanted["seed"]).shuffle(parts)
    text = b"".join(parts)
    heldout, train = text[: wanted["heldout_bytes"]], text[wanted["heldout_bytes"] :]
    digest = digest_of(heldout, train)
    if digest != wanted["sha256"]:
        raise CorpusError(f"The corpus has the SHA-256 {digest}; the recipe wants {wanted['sha256']}.")
    for name, content in (("heldout", heldout), ("train", train)):
        # Whole or not at all: a training that has the old file open goes on with it.
        new = FOLDER / f"{name}.new"
        new.write_bytes(content)
        new.replace(FOLDER / f"{name}.bin")
    return sizes


def read() -> tuple[bytes, bytes]:
    """Return the training and the held-out text, built before."""
    try:
        train, heldout = (FOLDER / "train.bin").read_bytes(), (FOLDER / "heldout.bin").read_bytes()
    except FileNotFoundError as error:
        raise CorpusError(
            f"There is no {error.filename} here: build the corpus first, with {Path(__file__).name}."
        ) from None
    if digest_of(heldout, train) != recipe()["sha256"]:
        raise CorpusError(f"The corpus in {FOLDER} is not the one of the recipe: build it anew, with {Path(__file__).name}.")
    return train, heldout


if __name__ == "__main__":
    try:
        sizes = build()
    except CorpusError as error:
        sys.exit(str(error))
    for name, size in sizes.items():
        print(f"{name:14} {size / 1e6:6.2f} MB  {size / sum(sizes.values()):6.1%}")
    print(f"{'in all':14} {sum(sizes.values()) / 1e6:6.2f} MB  SHA-256 {recipe()['sha256'][:16]}, as the recipe says")
