"""`python -m asnn_deploy`: the command line."""

from asnn_deploy.cli import main

main()
