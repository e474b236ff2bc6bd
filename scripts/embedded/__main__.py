import sys

from scripts.embedded.cli import main

sys.exit(main())
