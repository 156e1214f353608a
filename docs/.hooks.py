"""The site holds the pages of `docs/` and, of the rest of the repository, what they link to: records and pictures.

In the repository a page of `docs/` links to `../experiments/zoo/README.md`, and a record to `../../docs/metrics.md`.
In the site the pages of `docs/` lie beside the folders of the records, so that links lose their `../` and `docs/`.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = (
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "experiments/**/*.md",
    "experiments/**/*.png",
    "experiments/**/*.csv",
    "benchmarks/*.md",
    "notebooks/*.ipynb",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside of `docs/`."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links of the repository into those of the site."""
    if Path(page.file.abs_src_path).is_relative_to(ROOT / "docs"):
        return re.sub(r"\]\(((?:\.\./)*)\.\./(?=[A-Z]|experiments/|benchmarks/|notebooks/)", r"](\1", markdown)
    return re.sub(r"\]\(((?:\.\./)*)docs/", r"](\1", markdown)
