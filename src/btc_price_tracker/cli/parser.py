"""Parsing of the command line, and error messages for it.

An unknown flag may be the misspelt flag of a secret, so the messages never show the value of a flag.
"""

import argparse
import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches

_TIME_AGO = re.compile(r"-[0-9]+[a-z]")  # a value like -1h, which argparse takes for a flag
_FLAG = re.compile(r"--[a-z0-9][a-z0-9_-]*", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """The parser of one command. `secrets` are the settings that are never flags, `settings` are all settings."""

    secrets: Collection[str] = ()
    settings: Collection[str] = ()

    def parse(self, arguments: Sequence[str]) -> dict[str, str]:
        """The flags given, by the name of their setting. Exits with 2 and a message if they are invalid."""
        parsed, unknown = self.parse_known_args(_join_times(arguments))
        if unknown:
            self.error("; ".join(self._explain(unknown)))
        return {name: value for name, value in vars(parsed).items() if value is not None}

    def _explain(self, unknown: Sequence[str]) -> list[str]:
        flags = [argument.partition("=")[0] for argument in unknown if argument.startswith("-")]
        return [self._explain_flag(flag) for flag in flags] or ["too many arguments"]

    def _explain_flag(self, flag: str) -> str:
        if not _FLAG.fullmatch(flag):
            return f"unknown flag {flag[:2]}…"  # the rest may be its value
        flag = flag.lower().replace("_", "-")
        if flag in map(_flag, set(self.settings) - set(self.secrets)):
            return f"{self.prog.split()[-1]} does not use {flag}"
        secrets = {_flag(setting): setting.upper() for setting in self.secrets}
        options = [*self._option_string_actions, *secrets]
        starts = [
            each for each in options if each.startswith(flag) or (flag.startswith(each) and each in secrets)
        ]
        near = starts or get_close_matches(flag, options, n=1)
        if not near:
            return f"unknown flag {flag}"
        if variable := secrets.get(near[0]):  # also for a misspelt flag: a part of it may be the value
            return (
                f"{near[0]} is refused, because every user of this machine can see flags; "
                f"set {variable}, or {variable}_FILE to the path of a file that holds it"
            )
        return f"unknown flag {flag}; did you mean {near[0]}?"


def choose(program: argparse.ArgumentParser, arguments: Sequence[str], commands: Collection[str]) -> str:
    """The command that the arguments begin with. Exits with 2 and a message if there is none."""
    if arguments[:1] in (["-h"], ["--help"], ["--version"]):
        program.parse_args(arguments[:1])
    name = arguments[0] if arguments else ""
    if not name or name.startswith("-"):
        program.error(f"give a command first: {', '.join(commands)}")
    if name not in commands:
        near = get_close_matches(name, commands, n=1)
        advice = f"did you mean {near[0]}?" if near else f"give one of {', '.join(commands)}"
        program.error(f"unknown command {name!r}; {advice}")
    return name


def _join_times(arguments: Sequence[str]) -> list[str]:
    """`--since -1h` as `--since=-1h`."""
    joined: list[str] = []
    for argument in arguments:
        if _TIME_AGO.fullmatch(argument) and joined and _FLAG.fullmatch(joined[-1]):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _flag(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"
