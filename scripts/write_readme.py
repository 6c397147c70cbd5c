"""Write the numbers of the published results into the README, between its marks.

Usage: python scripts/write_readme.py
"""

from halfgen_lib.files import project_root, write_atomic
from halfgen_lib.readme import sections, with_sections


def main() -> None:
    """Replace the sections by what the files in report/results say."""
    readme = project_root() / "README.md"
    text = with_sections(readme.read_text(encoding="utf-8"), sections())
    write_atomic(readme, text.encode())
    print(readme)


if __name__ == "__main__":
    main()
