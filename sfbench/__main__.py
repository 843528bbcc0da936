"""`python -m sfbench` is the command line."""

from sfbench.cli.main import main

if __name__ == "__main__":
    main()
