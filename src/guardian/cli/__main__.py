"""``python -m guardian.cli``: the same as the ``guardian`` command."""

import sys

from guardian.cli import main

sys.exit(main())
