"""`mlops model`, `mlops environment`, `mlops schema`, `mlops doctor` and `mlops init`, as processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from pathlib import Path

from tests.e2e.laptop import MLOPS, Laptop, lines


def test_a_model_is_registered_found_tagged_verified_and_deleted(laptop: Laptop, tmp_path: Path) -> None:
    file = tmp_path / "greeting.json"
    file.write_text('{"greeting": "Grüß Gott"}')
    tags = ("--tag", "land=Bayern", "--metric", "polite=0.9", "--description", "From the south")
    made = laptop.run("model", "register", "greeting", str(file), *tags)
    assert made.stdout == "greeting:4\n"
    assert "Wrote models/greeting/4.yaml." in made.stderr
    assert "declared" in lines(laptop.expect(0, "model", "list"), "greeting:4")[0]
    laptop.apply()
    found = json.loads(laptop.run("model", "list", "south", "--tag", "land=Bayern", "--format", "json").stdout)
    assert [v["reference"] for v in found["versions"]] == ["greeting:4"]
    assert found["versions"][0]["state"] == "registered"
    assert laptop.expect(0, "model", "list", "--tag", "land=Hessen") == "No model matches.\n"
    laptop.expect(0, "model", "tag", "greeting:4", "land=Tirol")
    assert "tags.land Bayern → Tirol" in laptop.expect(0, "plan")
    shown = laptop.expect(0, "model", "show", "greeting:4")
    assert shown.startswith("greeting:4 changed\n")
    assert "  metrics.polite: 0.9\n" in shown
    assert "  used by nothing\n" in shown
    assert "all as registered" in laptop.expect(0, "model", "verify")
    used = laptop.run("model", "delete", "greeting:1")
    assert used.returncode == 5
    assert "greeting:1 is used by endpoint/hello@here as dev declares it." in used.stderr
    assert laptop.expect(0, "model", "delete", "greeting:4", "--reason", "Too far south").startswith(
        "models/greeting/4"
    )
    assert "Too far south" in (laptop.root / "models/greeting/tombstones.yaml").read_text()
    assert "delete  model/greeting:4" in laptop.expect(0, "plan")


def test_damage_is_found_and_named(laptop: Laptop) -> None:
    laptop.apply()
    blob = next(path for path in (laptop.root / ".mlops/registry").rglob("*") if b"Servus" in _content(path))
    blob.chmod(0o644)
    blob.write_bytes(b'{"greeting": "Hereby"}'[: blob.stat().st_size].ljust(blob.stat().st_size))
    done = laptop.run("model", "verify")
    assert done.returncode == 1
    assert blob.name in done.stderr.replace("/", "") or blob.name in done.stderr
    assert json.loads(laptop.run("model", "verify", "--format", "json").stdout)["problems"] >= 1
    assert "taken in again: " in laptop.expect(0, "model", "verify", "--rebuild")


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def test_numbers_and_pairs_are_checked(laptop: Laptop) -> None:
    file = str(laptop.root / "models/greeting/1/greeting.json")
    for options, said in (
        (("--metric", "polite=very"), '"very" of polite is not a number.'),
        (("--tag", "land"), '"land" is not of the form KEY=VALUE.'),
    ):
        done = laptop.run("model", "register", "greeting", file, *options)
        assert done.returncode == 64
        assert said in done.stderr


def test_environments_are_listed_shown_and_locked(laptop: Laptop) -> None:
    assert "plain:1" in laptop.expect(0, "environment", "list")
    assert "  used by: endpoint/hello@here as dev declares it\n" in laptop.expect(0, "environment", "show", "plain:1")
    done = laptop.run("environment", "lock", "plain")
    assert done.stdout == "environments/plain/1.lock\n"
    assert "is up to date" in done.stderr
    laptop.write("environments/plain/2.yaml", {"requirements": ["idna"]})
    locked = laptop.run("environment", "lock", "plain:2")
    assert locked.returncode == 0
    assert "Locked plain:2: " in locked.stderr
    assert "--hash=sha256:" in (laptop.root / "environments/plain/2.lock").read_text()


def test_schemas_are_printed_written_and_compared(laptop: Laptop, tmp_path: Path) -> None:
    kinds = laptop.run("schema").stdout.split()
    assert {"project", "model", "environment", "endpoint", "stage"} <= set(kinds)
    assert json.loads(laptop.run("schema", "model").stdout)["type"] == "object"
    folder = str(tmp_path / "schemas")
    assert laptop.run("schema", "--out", folder, "--check").returncode == 1
    laptop.expect(0, "schema", "--out", folder)
    laptop.expect(0, "schema", "--out", folder, "--check")
    assert 'Did you mean "model"?' in laptop.run("schema", "modle").stderr


def test_doctor_finds_what_would_fail(laptop: Laptop) -> None:
    done = laptop.run("doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].endswith("0 bad.")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12\n"
    laptop.write("models/greeting/1/greeting.json", pointer)
    (laptop.root / ".gitignore").unlink()
    laptop.write("mlops.yaml", (laptop.root / "mlops.yaml").read_text()[:-2] + ', "ledger": {"remote": "nowhere"}}')
    ill = laptop.run("doctor")
    assert ill.returncode == 1
    assert "bad     git lfs: 1 file of models are Git LFS pointers" in ill.stdout
    assert "git lfs pull" in ill.stdout
    assert "bad     private files: Git does not ignore .mlops/" in ill.stdout
    found = json.loads(laptop.run("doctor", "--format", "json").stdout)["checks"]
    assert {check["check"] for check in found if check["verdict"] == "bad"} >= {"git lfs", "private files", "files"}


def test_doctor_asks_the_remote_of_the_ledger(laptop: Laptop, tmp_path: Path) -> None:
    project = json.loads((laptop.root / "mlops.yaml").read_text())
    laptop.write("mlops.yaml", project | {"ledger": {"remote": "team"}})
    assert 'names the remote "team" for the ledger' in laptop.run("doctor").stdout
    laptop.git("remote", "add", "team", str(tmp_path / "team.git"))
    assert lines(laptop.run("doctor").stdout, "bad     ledger: remote team: ")
    laptop.git("init", "--quiet", "--bare", str(tmp_path / "team.git"))
    assert "ok      ledger: remote team answers, with 0 ledger branches" in laptop.run("doctor").stdout


def test_a_new_repository_validates_applies_and_answers(tmp_path: Path) -> None:
    folder = tmp_path / "My first_models!"
    made = subprocess.run([MLOPS, "init", str(folder)], capture_output=True, text=True, check=True)
    assert "Made project my-first-models." in made.stderr
    assert "warning" not in made.stderr
    assert sorted(made.stdout.splitlines()) == sorted(
        str(path) for path in folder.rglob("*") if path.is_file() and not {".git", ".mlops"} & set(path.parts)
    )
    laptop = Laptop(folder)
    try:
        assert laptop.git("status", "--porcelain") == ""
        assert laptop.git("log", "--format=%s") == "Begin: a model, an environment and an endpoint"
        laptop.expect(0, "validate")
        laptop.expect(0, "schema", "--out", "schemas", "--check")
        laptop.expect(0, "apply", "--yes")
        assert json.loads(laptop.run("score", "hello").stdout) == {"answer": "Hello, Ada!"}
        laptop.expect(0, "plan", "--detailed-exitcode")
        assert laptop.git("status", "--porcelain") == ""
        laptop.expect(0, "destroy", "--yes")
    finally:
        for pid in laptop.supervisors():
            raise AssertionError(f"{pid} was left behind")


def test_a_new_repository_names_the_toolkit_as_a_dependency(template: Path) -> None:
    project = tomllib.loads((template / "pyproject.toml").read_text())["project"]
    assert [d.split()[0].split("=")[0] for d in project["dependencies"]] == ["mlops-gitops[local]", "mlops-scoring"]
    assert all("@" in d or "==" in d for d in project["dependencies"])


def test_init_writes_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = subprocess.run([MLOPS, "init", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert done.stderr.startswith("error: The folder is not empty\n")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    wrong = subprocess.run(
        [MLOPS, "init", "--project", "No!", str(tmp_path / "new")], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 5
    assert not (tmp_path / "new").exists()


def test_init_inside_of_git_leaves_commits_to_the_user(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run([MLOPS, "init", str(tmp_path / "team")], capture_output=True, check=True)
    assert not (tmp_path / "team/.git").exists()
    shown = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stdout == "?? team/\n"
    assert subprocess.run([MLOPS, "-C", str(tmp_path / "team"), "validate"], check=False).returncode == 0


def test_init_without_an_identity_warns_and_makes_the_files(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": f"{MLOPS.parent}:{_path_of('git')}", "GIT_CONFIG_GLOBAL": "/dev/null"}
    environment |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"}
    done = subprocess.run(
        [MLOPS, "init", str(tmp_path / "team")], capture_output=True, text=True, check=False, env=_with_uv(environment)
    )
    assert done.returncode == 0
    assert "warning: No first commit\n" in done.stderr
    assert "git add --all && git commit -m Begin" in done.stderr
    assert (tmp_path / "team/mlops.yaml").exists()


def _path_of(program: str) -> str:
    found = shutil.which(program)
    assert found is not None
    return str(Path(found).parent)


def _with_uv(environment: dict[str, str]) -> dict[str, str]:
    """What uv needs to fetch packages, beside an environment."""
    import os  # noqa: PLC0415 - beside the only use

    names = ("UV_", "PIP_", "SSL_", "HTTP", "NO_PROXY", "http", "no_proxy", "REQUESTS", "NETRC")
    return {name: value for name, value in os.environ.items() if name.startswith(names)} | environment
