"""What a wheel carries is listed by hand in setup.cfg; these tests remember it for us."""

import configparser
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_package_is_listed():
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "tinymem").rglob("__init__.py")}
    assert set(setup()["options"]["packages"].split()) == {".".join(folder.parts) for folder in folders} | {"tinymem.lessons"}


def test_every_data_file_is_matched():
    patterns = {package.strip(): value.split(", ") for package, value in setup()["options.package_data"].items()}
    for place in ("", "figures", "figures/data", "tasks", "tasks/data", "testing"):
        package = ROOT / "tinymem" / place
        name = ".".join(package.relative_to(ROOT).parts).removesuffix(".data")
        for path in package.iterdir():
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                home = ROOT.joinpath(*name.split("."))
                assert any(path.relative_to(home).match(pattern) for pattern in patterns[name]), path


def test_the_floors_know_every_room():
    floors = setup()["importlinter:contract:floors"]["layers"].split()
    rooms = {f"tinymem.{path.parent.name}" for path in (ROOT / "tinymem").glob("*/__init__.py")}
    assert rooms - set(floors) == {"tinymem.tasks"}  # which has a contract of its own


def test_the_module_is_a_command_too():
    done = subprocess.run([sys.executable, "-m", "tinymem", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tinymem ")
