"""Write the published benches into the README, between its two bench marks.

Usage: python scripts/write_readme_bench.py
"""

from halfgen_lib.analyses import published_benches
from halfgen_lib.bench.tables import readme_with_benches
from halfgen_lib.files import write_atomic
from halfgen_lib.provenance import project_root


def main() -> None:
    """Replace the section by what the files in report/results say."""
    readme = project_root() / "README.md"
    text = readme_with_benches(readme.read_text(encoding="utf-8"), published_benches().values())
    write_atomic(readme, text.encode())
    print(readme)


if __name__ == "__main__":
    main()
