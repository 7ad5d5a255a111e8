"""`python -m drydock_driver`."""

from drydock_driver.cli import main

main()
