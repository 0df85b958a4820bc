"""`python -m scripts.concord`."""

from scripts.concord import main

main()
