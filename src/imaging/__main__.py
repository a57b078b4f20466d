"""The `imaging` command."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from imaging.errors import ImagingError


def main(argv: list[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    further = argv[argv.index("--") + 1 :] if "--" in argv else []
    arguments = _parser().parse_args(argv[: argv.index("--")] if "--" in argv else argv)
    try:
        return arguments.call(arguments, further) or 0
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        return 130
    except ImagingError as error:
        print(*getattr(error, "__notes__", ()), error, sep="\n", file=sys.stderr)
        return 1
    except OSError as error:
        print(ImagingError(f"{error.filename or 'A file'} cannot be read or written.", got=error.strerror or error,
                           expected="a readable file, or room and permission to write",
                           next_step="mend its permissions, make room, or change to another folder"),
              file=sys.stderr)  # fmt: skip
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="imaging", description="Radio-synthesis imaging with Snakemake.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="image what a configuration file describes",
                              epilog="What follows -- goes to Snakemake, for example: -- --forcerun psf")  # fmt: skip
    run.add_argument("configfile", type=Path)
    run.add_argument("--cores", type=int, default=None, help="cores to use (default: what the profile says)")
    run.add_argument("--profile", default="default", help="default, slurm, or the path of your own: how to run")
    run.add_argument("--set", action="append", default=[], metavar="section.key=value", help="change a value")
    run.add_argument("--dry-run", action="store_true", help="only tell which jobs would run (-- -n: with all details)")
    run.set_defaults(call=_run)

    init = commands.add_parser("init", help="write a configuration for a MeasurementSet, with a fitting cell and size")
    init.add_argument("ms", type=Path)
    init.add_argument("--output", type=Path, default=None, help="default: <name of the MS>.yaml")
    init.set_defaults(call=_init)

    check = commands.add_parser("check", help="validate a configuration file against the data it names")
    check.add_argument("configfile", type=Path)
    check.add_argument("--set", action="append", default=[], metavar="section.key=value", help="change a value")
    check.add_argument("--profile", default="default", help="as for run: default is this machine")
    check.set_defaults(call=_check)

    plugins = commands.add_parser("plugins", help="list the deconvolvers, or try one of them or a script")
    plugins.add_argument("name", nargs="?", help="try this one on small images: a name or the path of a script")
    plugins.add_argument("--timeout", type=float, default=60, metavar="SECONDS",
                         help="longest time of each call of a script (default: 60; 0 for any)")  # fmt: skip
    plugins.set_defaults(call=_plugins)

    warmup = commands.add_parser("warmup", help="compile the kernels once for this machine")
    warmup.set_defaults(call=_warmup)

    config = commands.add_parser("config", help="show the defaults, or regenerate the files made from them")
    config.add_argument("--write", metavar="FOLDER", type=Path, help="write them into a checkout of the project")
    config.set_defaults(call=_config)
    return parser


def _run(arguments, further: list[str]) -> int:
    from imaging.run import run

    overrides = tuple(arguments.set)
    return run(arguments.configfile, arguments.cores, arguments.profile, overrides, further, arguments.dry_run)


def _check(arguments, further: list[str]) -> int:
    from imaging.check import check
    from imaging.config import Config

    check(Config.load(arguments.configfile, tuple(arguments.set)), here=arguments.profile == "default")
    print(f"{arguments.configfile} is in order.")
    return 0


def _init(arguments, further: list[str]) -> int:
    from imaging.advise import starter

    if arguments.ms.suffix in (".yaml", ".yml") and arguments.ms.is_file():
        raise ImagingError(f"{arguments.ms} is a configuration, not a MeasurementSet.", got="a YAML file",
                           expected="a MeasurementSet, for which init writes a configuration",
                           next_step=f"imaging run {arguments.ms}")  # fmt: skip
    output = arguments.output or Path(f"{arguments.ms.name.removesuffix('.ms')}.yaml")
    if output.exists():
        raise ImagingError(f"{output} exists already.", got="an existing file", expected="a new one",
                           next_step="name another one with --output")  # fmt: skip
    output.write_text(starter(arguments.ms))
    print(f"{output} written; now: imaging run {output}")
    return 0


def _plugins(arguments, further: list[str]) -> int:
    from imaging import plugins

    if arguments.name:
        from imaging.testing import try_deconvolver

        if not arguments.timeout >= 0:
            raise ImagingError("The value of --timeout is not usable.", got=arguments.timeout,
                               expected="seconds, 0 for any time", next_step="leave it out for 60 s")  # fmt: skip
        if not plugins.is_builtin(arguments.name):
            _show_output_of_scripts()
        print(try_deconvolver(arguments.name, arguments.timeout))
        return 0
    for name, origin, summary in plugins.installed():
        print(f"{name:16s} {origin:24s} {summary}")
    print(f"{'mine.py':16s} {'a script of yours':24s} clean.deconvolver: path/to/mine.py (docs/plugins.md)")
    return 0


def _show_output_of_scripts() -> None:
    """Print what they print, and where they were when their time was over."""
    import logging

    from imaging.scripts import printed

    printed.addHandler(logging.StreamHandler(sys.stderr))
    printed.setLevel(logging.INFO)


def _warmup(arguments, further: list[str]) -> int:
    import logging

    from imaging.warmup import warmup

    logging.getLogger("imaging").setLevel(logging.ERROR)  # that kernels are compiled is no news here
    for name, seconds in warmup():
        print(f"{name:30s} {seconds:6.2f} s")
    return 0


def _config(arguments, further: list[str]) -> int:
    from imaging import config_files

    if arguments.write:
        config_files.write(arguments.write)
    else:
        print(config_files.config_yaml(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
