import sys

try:
    from scripts.checkup.cli import main

    sys.exit(main())
except KeyboardInterrupt:  # while modules were being loaded
    sys.exit(130)
