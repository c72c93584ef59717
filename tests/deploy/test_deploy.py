"""What is deployed: units systemd accepts, a CronJob kubectl reads, commands that exist."""

import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from capture.launch import capture
from cvsf.cli import COMMANDS
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
SERVICES = ("cvsf-capture.service", "cvsf-nightly.service")
UNITS = (*SERVICES, "cvsf-nightly.timer")
CRONJOB = DEPLOY / "nightly-cronjob.yaml"
INSTALLED = "/opt/cvsf/bin/"
DATA = "/var/lib/cvsf"


def settings(unit: str) -> dict[str, list[str]]:
    """The unit's settings without sections; a name given twice has two values."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / unit).read_text().splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def options_of(run: Callable[..., Any]) -> set[str]:
    """What the command takes."""
    app = typer.Typer(add_completion=False)
    app.command()(run)
    return {word for given in typer.main.get_command(app).params for word in given.opts}


def check_command(words: list[str]) -> None:
    """The command exists and takes all the options it is given."""
    program, *rest = words
    if program == "cvsf-capture":
        run: Callable[..., Any] = capture
    else:
        assert program == "cvsf"
        module, _, function = COMMANDS[rest[0]][0].partition(":")
        run = getattr(importlib.import_module(module), function)
    known = options_of(run)
    assert {word for word in rest if word.startswith("--")} <= known


def without_variables(command: str) -> list[str]:
    program, *rest = (word for word in shlex.split(command) if not word.startswith("$"))
    return [program.removeprefix(INSTALLED), *rest]


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_runs_a_command_that_exists(unit: str) -> None:
    (command,) = settings(unit)["ExecStart"]
    assert command.startswith(INSTALLED)
    check_command(without_variables(command))


@pytest.mark.parametrize("unit", SERVICES)
def test_options_a_service_takes_or_suggests_exist(unit: str) -> None:
    text = (DEPLOY / unit).read_text()
    (command,) = settings(unit)["ExecStart"]
    suggested = re.findall(r'CVSF_\w+_OPTIONS="?(--[^"\n]+)', text)
    assert suggested
    for options in suggested:
        words = [word for word in options.split() if word.startswith("--")]
        check_command([*without_variables(command)[:2], *words])


def test_commands_in_the_readme_of_deploy_exist() -> None:
    text = (DEPLOY / "README.md").read_text()
    told = re.findall(r"^ +(cvsf nightly .*)$", text, re.MULTILINE)
    told += re.findall(r"/opt/cvsf/bin/(cvsf [^`]*)`", text)
    assert len(told) == 3
    for command in told:
        check_command(shlex.split(command))


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_can_write_its_data_folder(unit: str) -> None:
    found = settings(unit)
    assert f"--data {DATA} " in found["ExecStart"][0]
    assert found["ProtectSystem"] == ["strict"]
    assert [f"/var/lib/{name}" for name in found["StateDirectory"]] == [DATA]
    assert found["RequiresMountsFor"] == [DATA]


def test_the_nightly_service_has_less_priority_than_the_capture() -> None:
    day, night = settings(SERVICES[0]), settings(SERVICES[1])
    assert int(night["CPUWeight"][0]) < int(day["CPUWeight"][0])
    assert int(night["OOMScoreAdjust"][0]) > 0 > int(day["OOMScoreAdjust"][0])
    assert night["IOSchedulingClass"] == ["idle"]
    assert night["Type"] == ["oneshot"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze on PATH")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_the_unit_without_a_warning(tmp_path: Path, unit: str) -> None:
    program = tmp_path / "program"
    program.symlink_to(sys.executable)
    for name in UNITS:  # the timer looks for its service beside it
        text = re.sub(rf"{INSTALLED}\S+", str(program), (DEPLOY / name).read_text())
        (tmp_path / name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_the_cronjob_is_two_documents_of_plain_yaml() -> None:
    documents = CRONJOB.read_text().split("\n---\n")
    kinds = [re.findall(r"^kind: (\w+)$", text, re.MULTILINE) for text in documents]
    assert kinds == [["PersistentVolumeClaim"], ["CronJob"]]
    for line in CRONJOB.read_text().splitlines():
        assert "\t" not in line
        indent = len(line) - len(line.lstrip())
        assert indent % 2 == 0
        assert line == line.rstrip()


def test_the_cronjob_runs_a_command_that_exists() -> None:
    text = CRONJOB.read_text()
    (command,) = re.findall(r" command: \[(.*)\]", text)
    given = re.findall(r" args: \[(.*)\]", text)
    assert len(given) == 2  # the second, in a comment, for several GPUs
    for args in given:
        check_command([word.strip(' "') for word in f"{command}, {args}".split(",")])
    assert given[0] == "--data, /data"
    assert "mountPath: /data\n" in text


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl on PATH")
def test_kubectl_knows_every_key_of_the_cronjob(tmp_path: Path) -> None:
    cronjob = CRONJOB.read_text().split("\n---\n")[1]
    (tmp_path / "cronjob.yaml").write_text(cronjob)
    command = ["kubectl", "set", "env", "--local", "-o", "json", "-f", "cronjob.yaml", "SEEN=1"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    read = json.loads(said.stdout)  # through kubectl's own types, which drop what they do not know
    keys = set(re.findall(r"^[ -]*([\w./]+): ?", cronjob, re.MULTILINE))
    assert keys - {"SEEN"} <= set(_keys(read)) | {""}
    assert read["spec"]["concurrencyPolicy"] == "Forbid"
    pod = read["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert [mount["name"] for mount in pod["containers"][0]["volumeMounts"]] == [
        volume["name"] for volume in pod["volumes"]
    ]


def _keys(read: Any) -> list[str]:
    if isinstance(read, dict):
        return [*read, *(key for value in read.values() for key in _keys(value))]
    return [key for item in read for key in _keys(item)] if isinstance(read, list) else []
