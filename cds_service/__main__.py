"""`python -m cds_service` is `trd-cds`."""

from cds_service.cli import main

main()
