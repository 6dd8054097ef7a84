"""Write the generated blocks and pictures of docs/validation.md: `python -m docs.validate` (`make validate`).

Refuses to write a page on which a verdict is worse than on the present one, unless asked with ``--accept-worse``.
"""

from __future__ import annotations

import sys

from tests.lab import page, pictures


def main() -> int:
    """Rewrite the page and the pictures that are not as they should be."""
    before = page.PAGE.read_text(encoding="utf-8")
    judged = {family: page.rows_of(family) for family in page.STUDIES}
    old = page.blocks(before)
    regressions = [text for family, rows in judged.items() for text in page.worse(old[family], rows)]
    if regressions and "--accept-worse" not in sys.argv:
        print("verdicts got worse, nothing is written (--accept-worse writes all the same):", *regressions, sep="\n  ")
        return 1
    after = page.filled(before)
    if after != before:
        page.PAGE.write_text(after, encoding="utf-8")
        print(f"wrote {page.PAGE.relative_to(page.ROOT)}")
    for family, rows in judged.items():
        path = page.picture(family)
        if pictures.digest_of(path) != pictures.digest(rows):
            pictures.draw(rows, path)
            print(f"wrote {path.relative_to(page.ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
