"""`python -m proxy` is the command `centrigate`."""

from proxy.cli import main

main()
