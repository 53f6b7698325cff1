"""The command line: which command, its flags, and what is wrong with them.

A flag that no command has may be a misspelt secret's: what follows such a flag is never shown.
"""

import argparse
import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches

_AGO = re.compile(r"-[0-9]+[a-z]")  # a value like -1h, which argparse takes for a flag
_NAME = re.compile(r"--[a-z0-9][a-z0-9_-]*", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """The parser of one command. `secrets` are settings that are no flags, `settings` those that are one somewhere."""

    secrets: Collection[str] = ()
    settings: Collection[str] = ()

    def parse(self, words: Sequence[str]) -> dict[str, str]:
        """The flags that were given, by the name of their setting. Ends the process where they make no sense."""
        parsed, unknown = self.parse_known_args(_with_times_joined(words))
        if unknown:
            self.error("; ".join(self._complaints(unknown)))
        return {name: value for name, value in vars(parsed).items() if value is not None}

    def _complaints(self, unknown: Sequence[str]) -> list[str]:
        flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        return [self._complaint(flag) for flag in flags] or ["there are too many words"]

    def _complaint(self, flag: str) -> str:
        if not _NAME.fullmatch(flag):
            return f"there is no flag {flag[:2]}…"  # what follows may be its value
        flag = flag.lower().replace("_", "-")
        if flag in map(_flag, set(self.settings) - set(self.secrets)):
            return f"{self.prog.split()[-1]} has no use for {flag}"
        secrets = {_flag(setting): setting.upper() for setting in self.secrets}
        options = [*self._option_string_actions, *secrets]
        starts = [
            each for each in options if each.startswith(flag) or (flag.startswith(each) and each in secrets)
        ]
        near = starts or get_close_matches(flag, options, n=1)
        if not near:
            return f"there is no flag {flag}"
        if variable := secrets.get(near[0]):  # also where it is misspelt: a part of it may be the value
            return (
                f"{near[0]} is refused, since every user of this machine can see flags; "
                f"set {variable}, or {variable}_FILE to a file that holds it"
            )
        return f"there is no flag {flag}; did you mean {near[0]}?"


def choose(program: argparse.ArgumentParser, words: Sequence[str], commands: Collection[str]) -> str:
    """The command that the words begin with. Ends the process where they begin with none."""
    if words[:1] in (["-h"], ["--help"], ["--version"]):
        program.parse_args(words[:1])
    name = words[0] if words else ""
    if not name or name.startswith("-"):
        program.error("begin with a command")
    if name not in commands:
        near = get_close_matches(name, commands, n=1)
        advice = f"did you mean {near[0]}?" if near else f"give one of {', '.join(commands)}"
        program.error(f"there is no command {name!r}; {advice}")
    return name


def _with_times_joined(words: Sequence[str]) -> list[str]:
    """`--since -1h` as `--since=-1h`."""
    joined: list[str] = []
    for word in words:
        if _AGO.fullmatch(word) and joined and _NAME.fullmatch(joined[-1]):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _flag(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"
