"""Write docs/reference again from the code, through `tallygate.docs` once that exists."""

import importlib
import importlib.util
import sys
from pathlib import Path

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"


def main() -> None:
    if importlib.util.find_spec("tallygate.docs") is None:
        sys.exit("docs: no module tallygate.docs yet, so nothing was generated")
    importlib.import_module("tallygate.docs").write(REFERENCE)


if __name__ == "__main__":
    main()
