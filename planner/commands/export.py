"""``plan export``."""

from __future__ import annotations

from pathlib import Path

import click

from planner.commands.options import ModelArgument, Output, model_argument, output_options
from planner.commands.progress import plan_line
from planner.errors import EXIT_DONE, InputError, OutputError


@click.command("export")
@model_argument
@click.option(
    "-o", "--output", "file", type=click.Path(path_type=Path), metavar="PATH", required=True
)
@output_options
def command(model: ModelArgument, file: Path, output: Output) -> int:
    """Write MODEL as tables for a spreadsheet: what it inherits too, one sheet for each section.

    `plan import xlsx` and `plan import csv` make a model of the tables again. The sheet `fields`
    says of every column what it means and accepts.
    """
    from planner.files import check_file, check_folder, replace_files, write_file
    from planner.reporting.model_tables import csv_files, workbook
    from planner.reporting.terminal import print_json

    is_book = file.suffix.lower() == ".xlsx"
    (check_file if is_book else check_folder)(file)
    loaded = model.load()
    if is_book:
        write_file(workbook(loaded.model), file)
    else:
        files = csv_files(loaded.model)
        if others := sorted({path.name for path in file.glob("*.csv")} - files.keys()):
            message = f"holds {', '.join(others)}, which an import would read too; name another"
            raise InputError.single(str(file), message)
        try:
            file.mkdir(parents=True, exist_ok=True)
            replace_files({file / name: content for name, content in files.items()})
        except OSError as error:
            raise OutputError(file, error) from error
    if output.as_json:
        print_json({"model": loaded.name, "sha256": loaded.sha256, "file": file})
    output.say(f"wrote {file}")
    output.suggest(plan_line("import", "xlsx" if is_book else "csv", file, "-o", "changed.yaml"))
    return EXIT_DONE
