"""``scripts/deploy.py`` against a real node, killed on the way; its messages and exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ledger.chain import (
    ChainEdge,
    ChainSettings,
    Deployment,
    FoundingFile,
    LocalSigner,
    check_deployment,
    predict_domains,
)
from ledger.types import parse_hex
from scripts.deploy import main
from tests.support.chain import ANVIL_CHAIN_ID, Person, running_anvil

ROOT = Path(__file__).parents[2]


def prepare(folder: Path) -> tuple[Path, Path, Path]:
    """Draw a deployer and have two founders sign; the paths of key, founding and consortium file."""
    key, founding = folder / "deployer.key", folder / "founding.json"
    assert main(["draw", str(key), "--chain-id", str(ANVIL_CHAIN_ID)]) == 0
    deployer = LocalSigner(parse_hex(key.read_text().strip()))
    domains = predict_domains(ANVIL_CHAIN_ID, deployer.address)
    file = FoundingFile(ANVIL_CHAIN_ID, tuple(Person().found(domains) for _ in range(2)), 2)
    founding.write_bytes(file.to_bytes())
    return key, founding, folder / "consortium.json"


def arguments_of(url: str, key: Path, founding: Path, out: Path) -> list[str]:
    return ["run", "--rpc", url, "--deployer-key", str(key), "--founding", str(founding), "--out", str(out)]


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_one_deployment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, founding, out = prepare(tmp_path)
    with running_anvil("--block-time", "1") as settings:
        assert settings.rpc_url is not None
        arguments = arguments_of(settings.rpc_url, key, founding, out)
        for lines in (1, 3):  # it dies after so many lines of its report
            command = [sys.executable, "-m", "scripts.deploy", *arguments]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env={"PYTHONUNBUFFERED": "1"}) as child:
                assert child.stdout is not None
                for _ in range(lines):
                    assert child.stdout.readline()
                child.kill()
            assert not out.exists()
        assert main(arguments) == 0
        assert "give it to the members" in capsys.readouterr().out
        written = out.read_bytes()
        deployment = Deployment.parse(written)
        with ChainEdge.open(settings) as edge:
            check_deployment(edge, deployment)
            assert edge.nonce(LocalSigner(parse_hex(key.read_text().strip())).address) == 5
        assert main(arguments) == 0
        assert out.read_bytes() == written
        assert main(["check", "--rpc", settings.rpc_url, str(out)]) == 0
        assert "holds this consortium" in capsys.readouterr().out
        out.write_bytes(written.replace(deployment.history_head.hex().encode(), b"00" * 32))
        assert main(["check", "--rpc", settings.rpc_url, str(out)]) == 1
        assert "founding history differs" in capsys.readouterr().err


def test_what_is_wrong_is_said_with_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, founding, out = prepare(tmp_path)
    nobody = "http://127.0.0.1:9"
    assert main(arguments_of(nobody, key, founding, out)) == 2
    assert "can not be reached" in capsys.readouterr().err
    assert main(["draw", str(key), "--chain-id", "5"]) == 3
    assert "exists" in capsys.readouterr().err
    assert main(arguments_of(nobody, key, tmp_path / "none.json", out)) == 3
    assert main(arguments_of(nobody, key, key, out)) == 3
    assert main(["check", "--rpc", nobody, str(founding)]) == 3
    assert "not a consortium file" in capsys.readouterr().err
    other, _, _ = prepare_other(tmp_path)
    assert main(arguments_of(nobody, other, founding, out)) == 1
    assert "signed by" in capsys.readouterr().err
    key.chmod(0o644)
    assert main(arguments_of(nobody, key, founding, out)) == 3
    assert f"chmod 600 {key}" in capsys.readouterr().err
    key.write_text("secret")
    key.chmod(0o600)
    assert main(arguments_of(nobody, key, founding, out)) == 3
    told = capsys.readouterr().err
    assert "holds no private key" in told
    assert "secret" not in told
    assert not out.exists()


def prepare_other(folder: Path) -> tuple[Path, Path, Path]:
    (folder / "other").mkdir()
    return prepare(folder / "other")


@pytest.mark.parametrize(("arguments", "code"), [([], 3), (["run"], 3), (["fly"], 3), (["--help"], 0)])
def test_usage(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == code
    told = capsys.readouterr()
    assert "usage: deploy" in told.out + told.err


def test_wrong_chain_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, founding, out = prepare(tmp_path)
    file = FoundingFile.parse(founding.read_bytes())
    deployer = LocalSigner(parse_hex(key.read_text().strip()))
    foundings = tuple(Person().found(predict_domains(77, deployer.address)) for _ in file.foundings)
    founding.write_bytes(FoundingFile(77, foundings, 2).to_bytes())
    with running_anvil() as settings:
        assert isinstance(settings, ChainSettings)
        assert settings.rpc_url is not None
        assert main(arguments_of(settings.rpc_url, key, founding, out)) == 1
    assert "correct the node's URL" in capsys.readouterr().err
