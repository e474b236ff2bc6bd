import sys

try:
    from scripts.embedded.cli import main

    sys.exit(main())
except KeyboardInterrupt:  # while modules were being loaded
    sys.exit(130)
