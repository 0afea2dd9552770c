"""A model folder loads whole or not at all, and says why."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest

from monsoon.transforms.scoring import ModelFolderError, Scorer
from monsoon.transforms.scoring.folder import MANIFEST, MAX_MANIFEST_BYTES, read_model_folder

NAME = "claim_anomaly"


@pytest.fixture
def write_folder():
    """What writes a model folder: imported late, since scikit-learn comes with it."""
    from monsoon.models.train import write_folder

    return write_folder


@pytest.fixture
def copy(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "copy")


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}


@pytest.mark.slow
def test_what_is_trained_is_written_whole(write_folder, honest, tmp_path):
    from monsoon.models.train import MODEL_CARD, build_files

    files = build_files(honest(5_000, 7), honest(10_000, 8), 7, trees=20) | {MODEL_CARD: b"# A card\n"}
    version = write_folder(tmp_path / "model", files)
    assert Scorer.load(tmp_path / "model").version == version
    assert files_of(tmp_path / "model") == files


def test_version_is_a_hash_of_every_file(model_folder, write_folder, tmp_path):
    scorer = Scorer.load(model_folder)
    assert scorer.version == json.loads((model_folder / MANIFEST).read_text())["version"]
    files = files_of(model_folder)
    assert write_folder(tmp_path / "same", files) == scorer.version
    assert write_folder(tmp_path / "other", files | {"model_card.md": b"# Another card\n"}) != scorer.version


@pytest.mark.parametrize("file", [f"{NAME}.onnx", "features.json", "calibration.json", "parity.npy", "model_card.md"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_changed_file_is_named_and_refused(copy, file, harm):
    path = copy / file
    content = bytearray(path.read_bytes())
    if harm == "remove":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(ModelFolderError, match=file) as refusal:
        Scorer.load(copy)
    assert "monsoon train" in str(refusal.value)


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(ModelFolderError, match=MANIFEST):
        Scorer.load(tmp_path / "nowhere")


def test_an_edited_version_is_refused(copy):
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(manifest | {"version": f"{NAME}-000000000000"}))
    with pytest.raises(ModelFolderError, match="version"):
        Scorer.load(copy)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "sub/file", "..", ".", "", ".hidden", "a\\b", "a\0b", "x" * 101, MANIFEST]
)
def test_a_manifest_names_files_of_the_folder_and_nothing_else(copy, name):
    """Though hash and version are right: what lies outside must not even be opened."""
    (copy.parent / "secret").write_bytes(b"")
    manifest = json.loads((copy / MANIFEST).read_text())
    hashes = manifest["files"] | {name: hashlib.sha256(b"").hexdigest()}
    listing = "".join(f"{digest}  {file}\n" for file, digest in sorted(hashes.items()))
    version = f"{NAME}-{hashlib.sha256(listing.encode()).hexdigest()[:12]}"
    (copy / MANIFEST).write_text(json.dumps({"name": NAME, "version": version, "files": hashes}))
    with pytest.raises(ModelFolderError, match=rf"{MANIFEST}: .*(no file of the folder|itself).*; restore"):
        read_model_folder(copy)


def test_a_models_own_name_is_a_plain_one_too(copy):
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(manifest | {"name": "../claim_anomaly"}))
    with pytest.raises(ModelFolderError, match=r"'\.\./claim_anomaly\.onnx' is no file of the folder"):
        read_model_folder(copy)


def test_what_is_no_file_or_too_large_a_one_is_refused_unread(copy):
    (copy / "parity.npy").unlink()
    os.mkfifo(copy / "parity.npy")
    with pytest.raises(ModelFolderError, match=r"parity\.npy: is no regular file"):
        read_model_folder(copy)
    (copy / MANIFEST).write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))
    with pytest.raises(ModelFolderError, match=rf"{MANIFEST}: larger than 64 KiB"):
        read_model_folder(copy)


def test_a_model_that_fails_parity_is_refused_though_its_hashes_agree(model_folder, write_folder, tmp_path):
    files = files_of(model_folder)
    table = np.load(model_folder / "parity.npy")
    table["anomaly_score"][17] += 1e-5
    np.save(tmp_path / "parity.npy", table)
    with pytest.raises(ModelFolderError, match=r"scikit-learn's by up to (1(\.0\d*)?e-05|9\.9\d*e-06)"):
        write_folder(tmp_path / "bad", files | {"parity.npy": (tmp_path / "parity.npy").read_bytes()})
    assert not (tmp_path / "bad").exists()


def test_a_calibration_that_is_not_the_models_is_refused(model_folder, write_folder, tmp_path):
    files = files_of(model_folder)
    calibration = json.loads(files["calibration.json"])
    calibration["masks"][1022]["risks"] = [1_000_000] * len(calibration["masks"][1022]["risks"])
    with pytest.raises(ModelFolderError, match=r"calibration\.json"):
        write_folder(tmp_path / "bad", files | {"calibration.json": json.dumps(calibration).encode()})
