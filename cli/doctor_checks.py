"""The checks of `monsoon doctor`: pure functions of the facts of a machine, each with what is wrong and how to mend
it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

OK, WARNING, FAULT = "ok", "warning", "fault"

PYTHON = "3.11"
OLDEST_JAVA = 17
FULL_MB = 200
"""Less than this left, and neither a replay nor a set-up comes far."""
NEED_MB = {"core": 700, "train": 1_300, "dev": 1_300, "flink": 3_000, "kafka": 700, "money": 700, "redis": 700}
"""The disk space that installing an extra takes, as ./monsoon has it."""
WHEN_NEEDED = {
    "core": "every command",
    "train": "monsoon train and evaluate",
    "dev": "monsoon test and lint",
    "flink": "monsoon run, live, up and replay --engine flink",
    "kafka": "monsoon live, chaos, up, produce and features",
    "money": "monsoon ledger, dispatch, reconcile, provider-simulator, up and chaos",
    "redis": "monsoon features, up and chaos",
}


class Finding(NamedTuple):
    """One line of the report; `mend` is empty where nothing is to be done."""

    what: str
    state: str
    message: str
    mend: str = ""


@dataclass(frozen=True)
class Facts:
    """A machine as far as Monsoon needs it. None: it could not be found out."""

    python: str = ""
    """Implementation and version, "CPython 3.11.7"."""
    executable: str = ""
    has_venv_module: bool = True
    root: str = "."
    root_writable: bool = True
    cut_off: bool = False
    """A set-up was interrupted and not taken up."""
    made_elsewhere: bool = False
    """.venv was made by another checkout, or by hand."""
    ready: Mapping[str, bool] = field(default_factory=dict)
    """By extra: whether it is installed as setup.py and constraints.txt now require."""
    free_mb: Mapping[str, int] = field(default_factory=dict)
    """By folder that is written to."""
    index_error: str | None = None
    """Of the package index: empty, or why it could not be reached; None where there is no pip to try it with."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    installed: Mapping[str, str] = field(default_factory=dict)
    """Versions by name in lower case with hyphens."""
    lacking: tuple[str, ...] = ()
    """Packages that an installed extra needs and that are missing."""
    java_home: str | None = None
    """JAVA_HOME as it is set."""
    javas: tuple[tuple[str, int | None], ...] = ()
    """Places of a JDK in the order in which they are tried, with the major version; None: it does not run."""
    flink_jars: int | None = None
    """Jars that Flink brought along, its core among them; 0 without its core."""
    kafka_jars: bool = False
    """Whether the jars of Kafka are fetched."""
    maven: bool = False
    """Whether Maven, which fetches them, is on PATH."""
    postgres: str | None = None
    """The folder of PostgreSQL's programs."""
    redis_server: bool = False
    """Whether the program redis-server is on PATH."""
    port: int = 8081
    port_free: bool = True
    can_listen: bool = True
    input_error: tuple[str, str] | None = None
    """Of the folder to be replayed: what is wrong with it and the mend, or nothing; None where none was named."""
    output_error: tuple[str, str] | None = None
    not_found_out: tuple[tuple[str, str], ...] = ()
    """What could not be found out, and why."""


def check(facts: Facts) -> list[Finding]:
    """Every finding, in the order in which they would have to be mended."""
    return [
        *_python(facts),
        *_environment(facts),
        *_versions(facts),
        *_disk(facts),
        *_index(facts),
        *_java(facts),
        *_jars(facts),
        *_kafka(facts),
        *_postgres(facts),
        *_redis(facts),
        *_ports(facts),
        *_folders(facts),
        *(Finding(what, WARNING, f"could not be checked: {why}") for what, why in facts.not_found_out),
    ]


def _python(facts: Facts) -> list[Finding]:
    which = f"{facts.python} ({facts.executable})"
    if not facts.python.startswith(f"CPython {PYTHON}."):
        mend = f"install Python {PYTHON}, or name one: MONSOON_PYTHON=/path/to/python{PYTHON} ./monsoon ..."
        return [Finding("python", FAULT, f"{which}; Monsoon needs CPython {PYTHON}", mend)]
    if not facts.has_venv_module:
        mend = f"on Debian and Ubuntu: sudo apt-get install python{PYTHON}-venv"
        return [Finding("python", FAULT, f"{which} has no venv module", mend)]
    return [Finding("python", OK, which)]


def _environment(facts: Facts) -> list[Finding]:
    if not facts.root_writable:
        mend = "make a copy of the checkout that you own"
        return [Finding("set-up", FAULT, f"{facts.root}, where .venv belongs, cannot be written", mend)]
    if facts.cut_off:
        mend = "call any command: ./monsoon takes the set-up up again"
        return [Finding("set-up", WARNING, "a set-up was interrupted", mend)]
    if facts.made_elsewhere:
        mend = "call any command: ./monsoon sets it aside and makes its own"
        return [Finding("set-up", WARNING, ".venv was made elsewhere or by hand", mend)]
    if not facts.ready.get("core"):
        return [Finding("set-up", WARNING, "not set up, or not as setup.py and constraints.txt now say", _CALL)]
    ready = [extra for extra, is_ready in facts.ready.items() if is_ready]
    later = [f"{extra} ({WHEN_NEEDED[extra]})" for extra, is_ready in facts.ready.items() if not is_ready]
    more = f"; installed when first needed: {', '.join(later)}" if later else ""
    return [Finding("set-up", OK, f"ready: {', '.join(ready)}{more}")]


_CALL = "call any command: ./monsoon sets up what it needs"


def _versions(facts: Facts) -> list[Finding]:
    if not any(facts.ready.values()):
        return []
    other = [
        f"{name} {version} (pinned {facts.pinned[name]})"
        for name, version in sorted(facts.installed.items())
        if name in facts.pinned and version != facts.pinned[name]
    ]
    if not other and not facts.lacking:
        pinned = sum(name in facts.pinned for name in facts.installed)
        return [Finding("versions", OK, f"all {pinned} packages are as constraints.txt pins them")]
    wrong = [*other, *(f"{name} is not installed" for name in facts.lacking)]
    mend = f"rm -rf {facts.root}/.venv and call any command"
    return [Finding("versions", FAULT, f"not as constraints.txt pins them: {_some(wrong)}", mend)]


def _disk(facts: Facts) -> list[Finding]:
    need_mb = 0 if facts.ready.get("core") else NEED_MB["core"]
    findings = []
    for folder, free_mb in facts.free_mb.items():
        message = f"{free_mb:,} MB free at {folder}"
        wanted_mb = need_mb if folder == facts.root else 0
        if free_mb < max(wanted_mb, FULL_MB):
            why = f"setting up needs {wanted_mb:,} MB" if wanted_mb else "too little to write results"
            findings.append(Finding("disk", FAULT, f"{message}; {why}", "free some space, or use another disk"))
            continue
        short = [
            f"{extra} {NEED_MB[extra]:,}"
            for extra, is_ready in facts.ready.items()
            if folder == facts.root and not is_ready and free_mb < NEED_MB[extra]
        ]
        if short:
            mend = f"free some space before {_some([WHEN_NEEDED[each.split()[0]] for each in short])}"
            findings.append(
                Finding("disk", WARNING, f"{message}; what is not installed needs MB: {_some(short)}", mend)
            )
        else:
            findings.append(Finding("disk", OK, message))
    return findings


def _index(facts: Facts) -> list[Finding]:
    if facts.index_error is None:
        return [Finding("index", OK, "the Python package index was not tried: there is no pip yet to try it with")]
    if not facts.index_error:
        return [Finding("index", OK, "the Python package index answers")]
    complete = bool(facts.ready) and all(facts.ready.values())
    message = f"the Python package index cannot be reached: {facts.index_error}"
    if complete:
        return [Finding("index", WARNING, message, "nothing now: all extras are installed")]
    mend = "check the network (behind a proxy: HTTPS_PROXY; for a mirror: PIP_INDEX_URL)"
    return [Finding("index", WARNING if facts.ready.get("core") else FAULT, message, mend)]


def _java(facts: Facts) -> list[Finding]:
    usable = next(((place, version) for place, version in facts.javas if (version or 0) >= OLDEST_JAVA), None)
    findings = []
    if facts.java_home:
        version = next((version for place, version in facts.javas if place == facts.java_home), None)
        if (version or 0) < OLDEST_JAVA:
            is_what = "no Java that runs" if version is None else f"Java {version}"
            mend = f"point it at a JDK of at least {OLDEST_JAVA}, or unset it"
            findings.append(Finding("java", WARNING, f"JAVA_HOME={facts.java_home} is {is_what} and passed over", mend))
    if usable is not None:
        findings.append(Finding("java", OK, f"Java {usable[1]} ({usable[0]})"))
    elif facts.ready.get("flink"):
        mend = f"install a JDK of at least {OLDEST_JAVA}, or rm -rf {facts.root}/.venv and call the command again"
        findings.append(Finding("java", FAULT, "no Java for Flink, not even the one that is installed with it", mend))
    else:
        findings.append(Finding("java", OK, "none, and none needed until Flink is, which brings its own"))
    return findings


def _jars(facts: Facts) -> list[Finding]:
    if not facts.ready.get("flink") or facts.flink_jars is None:
        return [Finding("jars", OK, "none to fetch: Flink's own come with its package, when first needed")]
    if facts.flink_jars:
        return [Finding("jars", OK, f"none to fetch: the {facts.flink_jars} that Flink brings are there")]
    mend = f"rm -rf {facts.root}/.venv and call the command again"
    return [Finding("jars", FAULT, "Flink is installed without its jars", mend)]


def _kafka(facts: Facts) -> list[Finding]:
    if facts.kafka_jars:
        return [Finding("kafka", OK, "its jars are there, for monsoon up")]
    if facts.maven:
        return [Finding("kafka", OK, "its jars are fetched by monsoon up or monsoon jars, with Maven")]
    mend = "nothing unless you need monsoon up; then, on Debian and Ubuntu: sudo apt-get install maven"
    return [Finding("kafka", WARNING, "its jars are not here, and Maven, which fetches them, is not on PATH", mend)]


def _postgres(facts: Facts) -> list[Finding]:
    if facts.postgres is not None:
        return [Finding("postgres", OK, f"its programs are there ({facts.postgres})")]
    mend = "nothing unless you need monsoon up --payments; then, on Debian and Ubuntu: sudo apt-get install postgresql"
    return [Finding("postgres", WARNING, "no PostgreSQL on this machine; a ledger may be on another", mend)]


def _redis(facts: Facts) -> list[Finding]:
    if facts.redis_server:
        return [Finding("redis", OK, "redis-server is there")]
    mend = "nothing unless you need monsoon up --features; then, on Debian: sudo apt-get install redis-server"
    return [Finding("redis", WARNING, "no redis-server on this machine; an online store may be on another", mend)]


def _ports(facts: Facts) -> list[Finding]:
    if not facts.can_listen:
        mend = "allow programs to listen on localhost (a sandbox or firewall forbids it)"
        return [Finding("ports", WARNING, "nothing can listen on localhost, which Flink must", mend)]
    if not facts.port_free:
        mend = "give monsoon run another --web-port, or stop what listens there"
        return [Finding("ports", WARNING, f"port {facts.port} is taken", mend)]
    return [Finding("ports", OK, f"port {facts.port} is free for monsoon run --web-port")]


def _folders(facts: Facts) -> list[Finding]:
    findings = []
    for what, can, error in (
        ("input", "can be read", facts.input_error),
        ("output", "can be written", facts.output_error),
    ):
        if error is not None:
            message, mend = error
            findings.append(Finding(what, FAULT, message, mend) if message else Finding(what, OK, can))
    return findings


def _some(names: list[str], max_shown: int = 5) -> str:
    more = f" and {len(names) - max_shown} more" if len(names) > max_shown else ""
    return ", ".join(names[:max_shown]) + more
