"""Reads a model folder and checks its files against the hashes in its manifest.

`manifest.json` holds the SHA-256 of every other file. The version of the model is a hash of those hashes, so
any change of any file, the model card included, is another version.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 64 * 1024
MAX_FILES = 64
MAX_FILE_BYTES = 256 * 1024 * 1024
"""A thousand times what a forest of 200 trees takes; more is read by mistake, or to fill the memory."""
_REMEDY = "restore the folder from version control, or train it again: monsoon train --output DIR"


class ModelFolderError(Exception):
    """A model folder that must not be used; the message names the file, what differs and what to do."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"model folder refused: {path}: {fault}; {_REMEDY}")


class Manifest(msgspec.Struct, frozen=True):
    """`name` is the model's (the .onnx file's stem); `files` maps a file name to its SHA-256 in hexadecimal."""

    name: str
    version: str
    files: dict[str, str]


_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""A file in the folder itself, under a name that every file system takes."""


@dataclass(frozen=True)
class ModelFolder:
    """The checked contents of a model folder, in memory."""

    path: Path
    name: str
    version: str
    contents: Mapping[str, bytes]


def build_manifest(name: str, contents: Mapping[str, bytes]) -> Manifest:
    """The manifest for these files (name: content); the version is `name` and 12 hexadecimal digits."""
    hashes = {file: hashlib.sha256(contents[file]).hexdigest() for file in sorted(contents)}
    listing = "".join(f"{digest}  {file}\n" for file, digest in hashes.items())
    version = f"{name}-{hashlib.sha256(listing.encode()).hexdigest()[:12]}"
    return Manifest(name, version, hashes)


def read_model_folder(path: Path) -> ModelFolder:
    """Reads every file that the manifest lists into memory and checks it against its hash.

    Raises ModelFolderError: a file is missing, too large or differs, or the manifest is malformed or names a path
    outside the folder, which is not opened.
    """
    manifest = _decode_manifest(path, _read_file(path / MANIFEST, MAX_MANIFEST_BYTES))
    return _checked(path, manifest, {file: _read_file(path / file, MAX_FILE_BYTES) for file in manifest.files})


def unpack_model_folder(path: Path, files: Mapping[str, bytes]) -> ModelFolder:
    """The folder of these files, the manifest included, as `read_model_folder`; `path` names it in messages.

    Raises ModelFolderError.
    """
    if MANIFEST not in files:
        raise ModelFolderError(path, f"has no {MANIFEST}")
    manifest = _decode_manifest(path, files[MANIFEST])
    for file in manifest.files:
        if file not in files:
            raise ModelFolderError(path / file, f"is not there; {MANIFEST} lists it")
    return _checked(path, manifest, {file: files[file] for file in manifest.files})


def _checked(path: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> ModelFolder:
    actual = build_manifest(manifest.name, contents)
    for file, digest in manifest.files.items():
        if actual.files[file] != digest:
            fault = f"SHA-256 is {actual.files[file][:12]}..., {MANIFEST} says {digest[:12]}..."
            raise ModelFolderError(path / file, fault)
    if actual.version != manifest.version:
        raise ModelFolderError(path / MANIFEST, f"version {manifest.version} should be {actual.version}")
    return ModelFolder(path, manifest.name, manifest.version, contents)


def _decode_manifest(folder: Path, content: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise ModelFolderError(folder / MANIFEST, str(error)) from error
    for fault in _manifest_faults(manifest):
        raise ModelFolderError(folder / MANIFEST, fault)
    return manifest


def _manifest_faults(manifest: Manifest) -> Iterator[str]:
    """What is wrong with the names and the number of files that a manifest lists."""
    if len(manifest.files) > MAX_FILES:
        yield f"lists {len(manifest.files)} files, and {MAX_FILES} is the most that a model folder has"
    for file in (f"{manifest.name}.onnx", *manifest.files):
        if not _PLAIN_NAME.fullmatch(file):
            yield f"{file[:100]!r} is no file of the folder (letters, digits, and _ - . after the first, at most 100)"
        if file == MANIFEST:
            yield f"lists {MANIFEST} itself, which holds no hash of its own"


def _read_file(path: Path, max_bytes: int) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise ModelFolderError(path, "is no regular file")
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise ModelFolderError(path, f"cannot be read ({error.strerror})") from error
    if len(content) > max_bytes:
        raise ModelFolderError(path, f"larger than {max_bytes // 1024:,} KiB, the most that it may be")
    return content
