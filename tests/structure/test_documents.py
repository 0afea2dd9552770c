"""What is tracked beside the code: changelog, links, and nothing of anybody's machine."""

import re

import pytest

# Put together here, or this file would break its own rule.
REGISTRY_HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("maven", "apache", "org"))]
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(root|work|home/\w+|Users/\w+|tmp/v|opt/wheels)(?![\w-])")


@pytest.fixture(scope="module")
def texts(root, tracked_files):
    """The text of every tracked file that is text, by path."""
    found = {}
    for path in tracked_files:
        try:
            found[path.as_posix()] = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def _lines_with(texts, is_wrong):
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if is_wrong(line)
    ]


def test_no_registry_is_named(texts):
    assert _lines_with(texts, lambda line: any(host in line for host in REGISTRY_HOSTS)) == []


def test_no_path_of_a_machine_is_named(texts):
    assert _lines_with(texts, MACHINE_PATH.search) == []


def test_links_between_documents_lead_somewhere(root, tracked_files):
    broken = []
    for path in tracked_files:
        if path.suffix != ".md":
            continue
        targets = re.findall(r"\]\(([^)#\s]+)", (root / path).read_text(encoding="utf-8"))
        local = [target for target in targets if "://" not in target]
        broken += [f"{path}: {target}" for target in local if not (root / path.parent / target).exists()]
    assert broken == []


def test_every_release_states_its_state_compatibility(root):
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^## ", changelog, flags=re.M)[1:]
    assert releases
    assert [release.splitlines()[0] for release in releases if "**State compatibility:**" not in release] == []
    version = re.search(r'version="([^"]+)"', (root / "setup.py").read_text(encoding="utf-8"))
    assert version is not None
    assert releases[0].startswith(version[1])
