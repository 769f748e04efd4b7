"""`python -m asmd` is `asmd`."""

import sys

from asmd.cli import main

sys.exit(main())
