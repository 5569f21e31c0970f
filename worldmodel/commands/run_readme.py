"""The README.md of a run folder: how it was made, and what lies in it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from worldmodel.commands.invocation import command_line
from worldmodel.files.atomic import new_file
from worldmodel.version import __version__

README_FILE = "README.md"
TABLE_FILE = "table.md"
# What a run may leave, in the order in which it is listed.
_CAPTIONS = {
    "model/README.md": "the world model's card; `model=` takes its folder",
    "encoder/README.md": "the encoder's card; `encoder=` takes its folder",
    "projector/README.md": "the projector's card; `projector=` takes its folder",
    "results.json": "a record of every episode; `worldmodel report` remakes the tables",
    TABLE_FILE: "the tables",
    "films": "films, as mp4 and GIF",
    "plan.mp4": "the film",
    "plan.json": "actions and costs of the plan",
    "rows": "finished rows of the table",
    "problems": "the problems, to be used again by `problems=`",
    "meta/info.json": "what the dataset holds",
    "data": "the episodes",
    "tensorboard": "the losses, for `tensorboard --logdir` and this folder",
    "config.yaml": "every option, as it was resolved",
    "sources.json": "hashes of what was read",
}
_PICTURES = {
    "losses.png": "the terms of the losses over the steps",
    "contact_sheet.png": "some of its episodes",
    "goal.png": "the goal",
    "final.png": "the last picture",
}


def write_run_readme(folder: Path, command: str, text: str = "") -> None:
    """Writes a README.md into a run folder that links what there is.

    Args:
        folder: The folder; everything else is in it already.
        command: Name of the command.
        text: What came of it, in a sentence or two.
    """
    parts = [
        f"# A run of `worldmodel {command}`",
        text,
        f"Made by worldmodel {__version__} with",
        f"```bash\n{command_line(command)}\n```",
        _table(folder),
        *_films(folder),
        *_pictures(folder),
        "## Files",
        "\n".join(_files(folder)),
    ]
    with new_file(folder / README_FILE) as staging:
        content = "\n\n".join(part for part in parts if part)
        staging.write_text(content + "\n", encoding="utf-8")


def _table(folder: Path) -> str:
    path = folder / TABLE_FILE
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _films(folder: Path) -> list[str]:
    films = [*sorted(folder.glob("*.gif")), *sorted(folder.glob("films/*.gif"))]
    shown = []
    for film in films:
        link = quote(film.relative_to(folder).as_posix())
        mp4 = quote(film.with_suffix(".mp4").relative_to(folder).as_posix())
        shown.append(f"[![{film.stem}]({link})]({mp4})")
    return ["## Films", *shown] if shown else []


def _pictures(folder: Path) -> list[str]:
    return [
        f"![{caption}]({name})\n*{caption}*"
        for name, caption in _PICTURES.items()
        if (folder / name).is_file()
    ]


def _files(folder: Path) -> list[str]:
    captions = dict(_CAPTIONS)
    for log in sorted(folder.glob("*.jsonl")):
        captions[log.name] = "loss terms of a stage, a JSON object a line"
    return [
        f"- [{name}]({quote(name)}): {caption}"
        for name, caption in captions.items()
        if (folder / name).exists()
    ]
