"""The commands that ask no market: about this machine's data directory, and about the program itself."""

import argparse

from betar_tui.config import Config
from betar_tui.eventloop import event_loop
from betar_tui.output import print_fields, print_json, say
from betar_tui.stdout import write

Arguments = argparse.Namespace


async def doctor(config: Config, arguments: Arguments) -> int:
    """Check the data directory and its peer, and say what to do."""
    await event_loop()
    from betar_tui.doctor import ERROR, OK, examine

    findings = await examine(config, arguments.rebuild, arguments.settings_troubles)
    healthy = all(each.state != ERROR for each in findings)
    if arguments.json:
        checks = [  # with the keys that scripts rely on
            {"check": each.check, "state": each.state, "says": each.message, "advice": each.advice} for each in findings
        ]
        print_json({"ok": healthy, "checks": checks})
        return 0 if healthy else 1
    for each in findings:
        advice = f" -> {each.advice}" if each.advice and each.state != OK else ""
        say(f"{each.state:5} {each.check}: {each.message}{advice}")
    return 0 if healthy else 1


async def locate(config: Config, arguments: Arguments) -> None:
    """Print where things are kept."""
    from betar_tui.logs import FILE_NAME

    paths = {
        "data_dir": config.data_dir,
        "database": config.database,
        "identity": config.key_file,
        "settings": config.settings_file,
        "control": config.control_socket,
        "log": config.log_file or config.data_dir / FILE_NAME,
    }
    shown = {name: str(path) for name, path in paths.items()}
    if arguments.json:
        print_json(shown)
    else:
        print_fields(shown)


async def help_(config: Config, arguments: Arguments) -> None:
    """Print the help of the program, or that of a command."""
    from betar_tui.parsing import build_parser

    parser = build_parser()
    write((parser.commands.choices[arguments.about] if arguments.about else parser).format_help())


async def completion(config: Config, arguments: Arguments) -> None:
    """Print what makes a shell complete commands and options."""
    from betar_tui.completion import script
    from betar_tui.parsing import build_parser

    write(script(build_parser(), arguments.shell))


async def man(config: Config, arguments: Arguments) -> None:
    """Print the manual page."""
    from betar_tui.manual import page
    from betar_tui.parsing import build_parser

    write(page(build_parser()))
