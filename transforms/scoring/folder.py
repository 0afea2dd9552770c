"""A model folder on disk: which files it has, and that they are the ones that were published.

`manifest.json` holds the SHA-256 of every other file. The version of the model is a hash of those hashes, so
any change of any file, the model card included, is another version.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

MANIFEST = "manifest.json"
MEND = "restore the folder from version control, or train it again: monsoon train --output DIR"


class ModelFolderError(Exception):
    """A model folder that must not score: says which file, what differs and what to do."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"model folder refused: {path}: {fault}; {MEND}")


class Manifest(msgspec.Struct, frozen=True):
    """`name` is the model's (the .onnx file's stem); `files` maps a file name to its SHA-256 in hexadecimal."""

    name: str
    version: str
    files: dict[str, str]


@dataclass(frozen=True)
class ModelFolder:
    """The checked contents of a model folder, in memory."""

    path: Path
    name: str
    version: str
    contents: Mapping[str, bytes]


def describe_files(name: str, contents: Mapping[str, bytes]) -> Manifest:
    """The manifest of a model folder that holds exactly these files."""
    hashes = {file: hashlib.sha256(contents[file]).hexdigest() for file in sorted(contents)}
    listing = "".join(f"{digest}  {file}\n" for file, digest in hashes.items())
    version = f"{name}-{hashlib.sha256(listing.encode()).hexdigest()[:12]}"
    return Manifest(name, version, hashes)


def read_folder(path: Path) -> ModelFolder:
    """Every file that the manifest lists, each checked against its hash. Raises ModelFolderError."""
    manifest = _read_manifest(path / MANIFEST)
    contents = {}
    for file in manifest.files:
        try:
            contents[file] = (path / file).read_bytes()
        except OSError as error:
            raise ModelFolderError(path / file, f"cannot be read ({error.strerror})") from error
    actual = describe_files(manifest.name, contents)
    for file, digest in manifest.files.items():
        if actual.files[file] != digest:
            fault = f"SHA-256 is {actual.files[file][:12]}..., {MANIFEST} says {digest[:12]}..."
            raise ModelFolderError(path / file, fault)
    if actual.version != manifest.version:
        raise ModelFolderError(path / MANIFEST, f"version {manifest.version} should be {actual.version}")
    return ModelFolder(path, manifest.name, manifest.version, contents)


def _read_manifest(path: Path) -> Manifest:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise ModelFolderError(path, f"cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise ModelFolderError(path, str(error)) from error
