"""`python -m cli`, which `./tw` runs."""

from cli.main import main

main()
