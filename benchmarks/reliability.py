"""The table of docs/reliability.md: ``python -m benchmarks.reliability``, the same as ``--rows reliability``."""

import sys

from .__main__ import main

if __name__ == "__main__":
    sys.argv[1:1] = ["--rows", "reliability"]
    sys.exit(main())
