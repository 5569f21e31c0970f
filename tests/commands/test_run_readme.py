import re
from urllib.parse import unquote

from worldmodel.commands.invocation import command_line, invoked
from worldmodel.commands.run_readme import write_run_readme


def fill(folder):
    (folder / "films").mkdir()
    for name in ("films/a.mp4", "films/a.gif", "config.yaml", "losses.png", "x.jsonl"):
        (folder / name).touch()
    (folder / "table.md").write_text("| task |\n| --- |\n| Push |\n")


def test_the_readme_tells_the_command_and_links_only_what_there_is(tmp_path):
    fill(tmp_path)
    with invoked(["evaluate", "task=push", "name=a cup"]):
        write_run_readme(tmp_path, "evaluate", "All solved.")
    text = (tmp_path / "README.md").read_text()
    assert "```bash\nworldmodel evaluate task=push 'name=a cup'\n```" in text
    assert "All solved." in text
    assert "| Push |" in text
    assert "[![a](films/a.gif)](films/a.mp4)" in text
    links = {unquote(link) for link in re.findall(r"\]\(([^)]+)\)", text)}
    assert {"losses.png", "x.jsonl", "config.yaml", "table.md", "films"} <= links
    assert all((tmp_path / link).exists() for link in links)


def test_outside_of_the_console_script_the_command_alone_is_told(tmp_path):
    assert command_line("plan") == "worldmodel plan"
    with invoked(["plan", "task=push"]):
        assert command_line("plan") == "worldmodel plan task=push"
    assert command_line("plan") == "worldmodel plan"
