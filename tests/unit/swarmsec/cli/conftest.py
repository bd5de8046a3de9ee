"""What every test of the command line may ask for."""

from tests.unit.swarmsec.cli.homes import home_template, homeless, program

__all__ = ["home_template", "homeless", "program"]
