"""``python -m tronie``."""

from tronie.cli.main import main

main()
