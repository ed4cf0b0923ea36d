"""``python -m tune_core.cli``."""

import sys

from tune_core.cli.main import main

sys.exit(main())
