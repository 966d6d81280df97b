"""The keeper's commands as cron and an operator meet them: words, numbers, status."""

import json
import re
import stat
from pathlib import Path

import pytest

from tallygate.cli import main
from tallygate.supervisor import folder
from tests.fakes.credential_upstream import CredentialUpstream
from tests.keeper.conftest import Shell

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[(DEBUG|INFO|WARNING|ERROR)\] ")


def texts(out: str) -> list[str]:
    """What the lines say, after their times and levels."""
    for line in out.splitlines():
        assert LINE.match(line), line
    return [LINE.sub("", line) for line in out.splitlines()]


def test_adding_asks_nobody_and_shows_nothing(shell: Shell, upstream: CredentialUpstream) -> None:
    """The first command makes the store; the secret is in no answer."""
    shell.add("valid-s3cret", upstream.base_url())
    (row,) = shell.json("list")
    assert list(row) == ["id", "name", "user", "kind", "state", "last_used", "last_checked"]
    assert (row["id"], row["user"], row["kind"], row["state"]) == (1, "张三", "baoming", "fresh")
    assert row["last_used"] is None and row["last_checked"] is None
    assert upstream.seen == []
    again = ("add", "--kind", "baoming", "--name", "x", "--var", f"base_url={upstream.base_url()}")
    status, out, err = shell.run(*again, secret="valid-s3cret")
    assert (
        (status, out) == (1, "") and "credential 1" in err and err.count("s3cret") == 1
    )  # in its name


@pytest.mark.parametrize(
    ("words", "secret", "word"),
    [
        (("--kind", "telnet", "--name", "x"), "t", "telnet"),
        (("--kind", "baoming", "--name", "x"), "t", "base_url"),
        (("--kind", "baoming", "--name", "x", "--var", "base_url=nowhere"), "t", "http"),
        (("--kind", "baoming", "--name", "x", "--var", "color=red"), "t", "color"),
        (("--kind", "baoming", "--name", "x", "--var", "red"), "t", "KEY=VALUE"),
        (("--kind", "openai-key", "--name", "x"), "", "standard input"),
        (("--kind", "openai-key", "--name", "\n"), "t", "name"),
    ],
)
def test_what_can_not_be_kept_is_a_usage_error_and_makes_nothing(
    shell: Shell, words: tuple[str, ...], secret: str, word: str
) -> None:
    status, out, err = shell.run("add", *words, secret=secret)
    assert (status, out) == (2, "") and word in err and err.count("\n") == 1
    assert not shell.data.exists()


@pytest.mark.parametrize("command", ["list", "refresh", "test", "restore 1", "delete 1"])
def test_a_folder_without_a_store_is_named(shell: Shell, command: str) -> None:
    status, out, err = shell.run(*command.split())
    assert (status, out) == (3, "") and str(shell.data) in err
    assert not shell.data.exists()


def test_a_check_on_adding_tells_at_once(shell: Shell, upstream: CredentialUpstream) -> None:
    shell.add("valid-1", upstream.base_url(), "--check")
    words = ("add", "--kind", "baoming", "--name", "名片 dead", "--check", "--var")
    status, out, _ = shell.run(*words, f"base_url={upstream.base_url(1)}", secret="invalid-1")
    assert status == 1 and "quarantined: invalid access_token" in out
    assert shell.states() == {"valid-1": "valid", "dead": "quarantined"}


def test_a_run_speaks_the_old_refreshers_words(
    shell: Shell, upstream: CredentialUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever greps the old log goes on grepping."""
    monkeypatch.setenv("TALLYGATE_KEEPER_DELETE_GRACE_DAYS", "0")
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    for number, token in enumerate(("valid-1", "invalid-2")):
        shell.add(token, upstream.base_url(number))
    log = shell.data / "refresh.log"
    status, out, _ = shell.run("refresh", "--log-file", str(log))
    said = texts(out)
    assert status == 0
    assert said[:5] == [
        "=" * 60,
        "🚀 开始刷新报名工具 Token",
        "=" * 60,
        "📊 找到 2 个 Token 需要刷新",
        "-" * 60,
    ]
    assert [text[:5] for text in said if "名片:" in text] == ["[1/2]", "[2/2]"]
    assert "  用户: 张三" in said and "  最后使用: 从未使用" in said
    assert "  ✅ Token 有效，已更新使用时间" in said
    assert "  ⚠️ Token 已失效: invalid access_token" in said
    assert "  🗑️ 已删除失效 Token" in said
    assert said[-6:] == [
        "-" * 60,
        "📊 刷新统计:",
        "  📝 总计: 2 个",
        "  ✅ 成功: 1 个",
        "  ❌ 失败: 0 个",
        "  🗑️ 删除: 1 个",
    ]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert log.read_text("utf-8") == out
    assert shell.states() == {"valid-1": "valid"}


def test_a_valid_one_was_used_and_the_next_run_looks_again(
    shell: Shell, upstream: CredentialUpstream
) -> None:
    """A run that is over is over: whoever asks again is answered anew."""
    shell.add("valid-1", upstream.base_url())
    for count in (1, 2):
        assert shell.run("refresh")[0] == 0
        assert upstream.hits() == {"valid-1": count}
    (row,) = shell.json("list")
    assert row["last_used"] == row["last_checked"] and row["state"] == "valid"


@pytest.mark.slow
def test_a_bad_day_fails_and_condemns_nobody(shell: Shell, upstream: CredentialUpstream) -> None:
    """Every way to fail, side by side; each is tried three times, and stays in use."""
    upstream.slow_s = 0.3
    bad = ("down-1", "broken-1", "limited-1", "garbage-1", "html-1", "reset-1", "redirect-1")
    bad += ("missing-1", "endless-1")
    good = ("slow-1", "flapping-1")
    for number, token in enumerate((*bad, *good)):
        shell.add(token, upstream.base_url(number))
    status, out, _ = shell.run("refresh", "--verbose", "--metrics-file", "keeper.prom")
    assert status == 1
    assert shell.states() == dict.fromkeys(bad, "suspect") | dict.fromkeys(good, "valid")
    hits = upstream.hits()
    assert [hits[token] for token in bad] == [3] * len(bad)
    assert (hits["slow-1"], hits["flapping-1"]) == (1, 2)
    assert any("failed" in line or "Failed: 9" in line for line in texts(out))
    assert out.count("[DEBUG]") == 3 * len(bad) + 3
    metrics = Path("keeper.prom").read_text("utf-8")
    assert 'tallygate_keeper_last_run_credentials{end="failed"} 9\n' in metrics
    assert 'tallygate_keeper_credentials{state="suspect"} 9\n' in metrics
    for token in (*bad, *good):
        assert f"access_token={token}" not in out


def test_one_bad_kind_address_or_secret_is_named_and_the_others_go_on(
    shell: Shell, upstream: CredentialUpstream
) -> None:
    shell.add("valid-1", upstream.base_url())
    shell.add("valid-2", upstream.base_url(1), kind="bearer-probe")
    file = shell.data / "old.jsonl"
    file.write_text('{"token":"valid-3","name":"no address"}\n', "utf-8")
    status, _, err = shell.run("import", str(file))
    assert status == 0 and "lack a variable" in err
    kinds = shell.data / "kinds"
    kinds.mkdir()
    (kinds / "bearer-probe.toml").write_text("name = ", "utf-8")
    (done,) = [shell.run("refresh", "--json")]
    report = json.loads(done[1])
    assert done[0] == 1 and report["refreshed"] == 1 and report["failed"] == 2
    reasons = {row["name"]: row["reason"] for row in report["credentials"]}
    assert "base_url" in reasons["no address"]
    assert "bearer-probe.toml" in reasons["名片 valid-2"]
    assert shell.run("test")[0] == 1
    (shell.data / "master.key").unlink()
    status, out, _ = shell.run("refresh", "--json")
    reasons = {row["name"]: row["reason"] for row in json.loads(out)["credentials"]}
    assert status == 1 and "master key" in reasons["名片 valid-1"]


@pytest.mark.parametrize("damaged", ["master.key", "master.key.old"])
def test_a_damaged_master_key_is_named_at_every_credential_that_it_keeps_shut(
    shell: Shell, upstream: CredentialUpstream, damaged: str
) -> None:
    """None of them may be left out of the sums, or cron would take a dead keeper for a live one."""
    shell.add("valid-1", upstream.base_url())
    shell.add("valid-2", upstream.base_url())
    (shell.data / damaged).write_bytes(b"\xff not a key")
    status, out, _ = shell.run("refresh", "--json")
    report = json.loads(out)
    assert (status, report["total"], report["failed"]) == (1, 2, 2)
    assert all(damaged in row["reason"] for row in report["credentials"])
    assert set(shell.states().values()) == {"due"} and upstream.seen == []
    (shell.data / damaged).unlink()


def test_cleaning_alone_asks_nobody(shell: Shell, upstream: CredentialUpstream) -> None:
    """The third line of the old crontab: what nobody used for so long goes, nothing is checked."""
    rows = [
        {"token": "valid-old", "name": "old", "last_used": "2024-02-09 10:30:00"},
        {"token": "valid-new", "name": "new"},
    ]
    file = Path("old.jsonl")
    file.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    url = f"base_url={upstream.base_url()}"
    assert shell.run("import", str(file), "--var", url)[0] == 0
    status, out, _ = shell.run("refresh", "--cleanup-days", "30", "--dry-run")
    assert status == 0 and set(shell.states()) == {"old", "new"}
    status, out, _ = shell.run("refresh", "--cleanup-days", "30", "--lang", "zh")
    assert status == 0 and "🗑️ 已清理: 1 个" in texts(out)
    assert set(shell.states()) == {"new"} and upstream.seen == []
    shell.run("refresh", "--cleanup-days", "30", "--max-age-days", "7")
    assert upstream.hits() == {"valid-new": 1}
    assert shell.json("list", "--state", "deleted")[0]["name"] == "old"


def test_only_the_lately_used_are_checked_if_wished(
    shell: Shell, upstream: CredentialUpstream
) -> None:
    file = Path("rows.csv")
    file.write_text("token,name,user,last_used\nvalid-a,a,u,2024-01-01\nvalid-b,b,u,\n", "utf-8")
    url = f"base_url={upstream.base_url()}"
    for status in ("2 credentials taken in", "2 are known already"):
        assert status in shell.run("import", str(file), "--var", url)[1]
    assert shell.run("refresh", "--max-age-days", "7")[0] == 0
    assert upstream.hits() == {"valid-b": 1}


def test_a_dry_run_asks_nobody_and_changes_nothing(
    shell: Shell, upstream: CredentialUpstream
) -> None:
    shell.add("invalid-1", upstream.base_url())
    status, out, _ = shell.run("refresh", "--dry-run")
    assert status == 0 and "[1/1]" in out
    assert upstream.seen == [] and shell.states() == {"invalid-1": "fresh"}


def test_the_quarantined_are_left_alone_until_restored(
    shell: Shell, upstream: CredentialUpstream
) -> None:
    shell.add("invalid-1", upstream.base_url())
    shell.run("refresh")
    assert shell.states() == {"invalid-1": "quarantined"}
    shell.run("refresh")
    assert upstream.hits() == {"invalid-1": 1}
    assert shell.run("restore", "名片 invalid-1")[0] == 0
    assert shell.states() == {"invalid-1": "fresh"}
    status, _, err = shell.run("restore", "1")
    assert status == 1 and "not quarantined" in err
    assert shell.run("delete", "1")[0] == 0 and shell.states() == {}
    assert shell.run("delete", "1")[0] == 1


def test_testing_writes_nothing_and_spends_nothing(
    shell: Shell, upstream: CredentialUpstream
) -> None:
    upstream.refresh_tokens.add("refresh-0")
    shell.add("valid-1", upstream.base_url())
    shell.add("invalid-1", upstream.base_url(1))
    shell.add("refresh-0", upstream.base_url(2) + "/token", kind="oauth2")
    rows = shell.json("test", status=1)
    assert [row["verdict"] for row in rows] == ["valid", "invalid", "untested"]
    assert set(shell.states().values()) == {"fresh"} and upstream.spent["refresh-0"] == 0
    assert shell.run("test", "1")[0] == 0


def test_a_new_secret_takes_the_old_ones_place(shell: Shell, upstream: CredentialUpstream) -> None:
    """The chain goes on from run to run: each token is spent once, the next one is kept."""
    upstream.slow_s = 0.0
    upstream.refresh_tokens.add("refresh-start")
    shell.add("refresh-start", upstream.base_url() + "/token", kind="oauth2")
    for _ in range(3):
        assert shell.run("refresh")[0] == 0
    spent = [one.token for one in upstream.seen]
    assert len(spent) == len(set(spent)) == 3 and spent[0] == "refresh-start"
    assert set(upstream.refresh_tokens).isdisjoint(spent)


def test_kinds_are_listed_with_what_is_wrong(shell: Shell) -> None:
    status, out, _ = shell.run("kinds", "--json")
    assert status == 0 and len(json.loads(out)["kinds"]) == 4
    (shell.data / "kinds").mkdir(parents=True)
    (shell.data / "kinds" / "own.toml").write_text('name = "own"', "utf-8")
    status, out, _ = shell.run("kinds")
    assert status == 1 and "own.toml" in out


@pytest.mark.parametrize(
    "words",
    [
        ("refresh", "--lang", "fr"),
        ("refresh", "--interval", "3"),
        ("refresh", "--run-immediately"),
        ("refresh", "--max-age-days", "0"),
        ("refresh", "--concurrency", "0"),
        ("list", "--state", "happy"),
    ],
)
def test_a_wrong_word_is_a_usage_error(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell.run(*words)[0] == 2


def test_everything_opens_under_a_new_master_key(
    shell: Shell, upstream: CredentialUpstream
) -> None:
    """After rotation the old key is gone, and every credential is as good as before."""
    shell.add("valid-1", upstream.base_url())
    old = (shell.data / "master.key").read_text("ascii")
    with pytest.raises(SystemExit) as ended:
        main(["secrets", "rotate", "--data", str(shell.data)])
    assert not ended.value.code
    assert (shell.data / "master.key").read_text("ascii") != old
    assert {path.name for path in shell.data.glob("master.key*")} == {"master.key"}
    assert stat.S_IMODE((shell.data / "master.key").stat().st_mode) == 0o600
    shell.run("list")
    assert shell.run("refresh")[0] == 0 and shell.states() == {"valid-1": "valid"}


def test_a_rotation_that_was_stopped_goes_on(shell: Shell, upstream: CredentialUpstream) -> None:
    """Killed when the keys were exchanged and nothing was sealed anew yet."""
    shell.add("valid-1", upstream.base_url())
    folder.begin_next_key(shell.data)
    folder.turn_to_next_key(shell.data)
    assert shell.run("refresh")[0] == 0, "either key opens meanwhile"
    with pytest.raises(SystemExit) as ended:
        main(["secrets", "rotate", "--data", str(shell.data)])
    assert not ended.value.code and not (shell.data / "master.key.old").exists()
    shell.run("list")
    assert shell.run("refresh")[0] == 0


def test_the_old_tools_export_is_taken_over(shell: Shell, upstream: CredentialUpstream) -> None:
    file = Path("baoming.jsonl")
    row = {"access_token": "valid-1", "card_name": "统一", "last_used": {"$date": "2024-02-09"}}
    file.write_text(json.dumps(row), "utf-8")
    words = ["import", "baoming", str(file), "--var", f"base_url={upstream.base_url()}"]
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--data", str(shell.data)])
        assert not ended.value.code
    shell.run("kinds")
    (one,) = shell.json("list")
    assert (one["name"], one["last_used"]) == ("统一", "2024-02-09T00:00:00.000Z")
    assert shell.run("refresh")[0] == 0
