"""`python -m tinymem`, for where the command `tinymem` is not on the path."""

import sys

from tinymem.cli import main

sys.exit(main())
