"""Releases from plan to end, with a `terraform` on PATH that knows functions and their versions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from services.deploy import release
from services.deploy import terraform as terraform_module
from services.deploy.release import Moved, Reporter, Result
from services.deploy.terraform import TerraformError
from services.platform.errors import PermanentError
from tests.unit.deploy.fake_environment import CAREFUL, FakeEnvironment


def test_first_release_applies_without_canary(environment: FakeEnvironment) -> None:
    assert environment.live == {"list-images": "1", "get-image": "1", "process-image": "1"}
    assert environment.asked == []


def test_deploy_without_change_does_nothing(environment: FakeEnvironment) -> None:
    assert environment.deploy().result is Result.NOTHING
    assert "apply" not in environment.calls


def test_deploy_of_new_image_shifts_calls_in_two_steps(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    outcome = environment.deploy()
    assert outcome.result is Result.RELEASED
    assert outcome.moved == (Moved("get-image", "1", "2"),)
    assert environment.weights_seen[0] == {"get-image": {"2": 0.1}}
    assert environment.live == {"list-images": "1", "get-image": "2", "process-image": "1"}
    assert environment.deploy().result is Result.NOTHING


def test_deploy_watches_only_alarms_of_changed_functions(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    environment.deploy()
    assert {name for names in environment.asked for name in names} == {
        "get-image-errors",
        "api-5xx",
    }


def test_deploy_with_only_plan_applies_nothing(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    outcome = environment.deploy(replace(CAREFUL, only_plan=True))
    assert (outcome.result, outcome.moved) == (Result.PLANNED, (Moved("get-image", "1", None),))
    assert "apply" not in environment.calls


def test_deploy_with_pending_version_repeats_the_warm_up(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    environment.order(pending_applies=2)
    outcome = environment.deploy()
    assert (outcome.result, environment.live["get-image"]) == (Result.RELEASED, "2")
    assert environment.steps.count("a new version is still pending: applying again") == 2


def test_deploy_with_version_pending_for_too_long_is_taken_back(
    environment: FakeEnvironment,
) -> None:
    environment.image("get-image", "b2")
    environment.order(pending_applies=release.PENDING_ATTEMPTS)
    outcome = environment.deploy()
    assert (outcome.result, environment.live["get-image"]) == (Result.TAKEN_BACK, "1")


def test_deploy_with_another_command_uses_it(environment: FakeEnvironment) -> None:
    terraform = environment.lab.parent.parent / "bin" / "terraform"
    tofu = terraform.rename(terraform.with_name("tofu"))
    assert replace(environment.terraform, binary="tofu").outputs()["functions"]
    tofu.rename(terraform)


def test_deploy_with_alarm_is_taken_back(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    environment.alarms["api-5xx"] = "ALARM"
    outcome = environment.deploy()
    assert outcome.result is Result.TAKEN_BACK
    assert outcome.reason == "in alarm: api-5xx"
    assert environment.live["get-image"] == "1"
    assert environment.record == {"before": {}, "held": {"get-image": "1"}}


def test_deploy_after_failed_release_keeps_function_held(
    environment: FakeEnvironment,
) -> None:
    environment.image("get-image", "b2")
    environment.alarms["api-5xx"] = "ALARM"
    environment.deploy()
    environment.alarms.clear()
    assert environment.deploy().result is Result.NOTHING
    environment.image("list-images", "a2")
    outcome = environment.deploy()
    assert outcome.moved == (Moved("list-images", "1", "2"),)
    assert outcome.held == {"get-image": "1"}
    assert environment.live == {"list-images": "2", "get-image": "1", "process-image": "1"}


def test_deploy_of_next_image_releases_held_function(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    environment.alarms["api-5xx"] = "ALARM"
    environment.deploy()
    environment.alarms.clear()
    environment.image("get-image", "b3")
    outcome = environment.deploy()
    assert outcome.moved == (Moved("get-image", "1", "3"),)
    assert environment.weights_seen[-1] == {"get-image": {"3": 0.1}}
    assert environment.record["held"] == {}


def test_deploy_with_again_releases_held_function(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    environment.alarms["api-5xx"] = "ALARM"
    environment.deploy()
    environment.alarms.clear()
    again = replace(CAREFUL, again=True)
    assert environment.deploy(replace(again, only_plan=True)).moved == (
        Moved("get-image", "1", "2"),
    )
    assert environment.record["held"] == {"get-image": "1"}
    assert environment.deploy(again).moved == (Moved("get-image", "1", "2"),)
    assert environment.record["held"] == {}


def test_deploy_of_version_that_fails_to_start_is_taken_back(environment: FakeEnvironment) -> None:
    environment.order(bad_images=["b2"])
    environment.image("get-image", "b2")
    environment.image("list-images", "a2")
    outcome = environment.deploy()
    assert outcome.result is Result.TAKEN_BACK
    assert "the warm-up of get-image failed" in str(outcome.reason)
    # The good one of the same release goes back as well: a release is all or nothing.
    assert environment.live == {"list-images": "1", "get-image": "1", "process-image": "1"}
    assert environment.record["held"] == {"get-image": "1", "list-images": "1"}
    assert environment.asked == []


def test_deploy_with_earlier_alarm_does_not_watch_it(environment: FakeEnvironment) -> None:
    environment.order(alarms={"get-image": ["before-errors", "api-5xx"]})
    environment.alarms["before-errors"] = "ALARM"
    environment.image("get-image", "b2")
    assert environment.deploy().result is Result.RELEASED
    assert {name for names in environment.asked for name in names} == {"api-5xx"}
    assert "not watched, since in alarm already: before-errors" in environment.steps


def test_deploy_without_readable_alarms_is_taken_back(environment: FakeEnvironment) -> None:
    environment.cloudwatch_failures = 3
    environment.image("get-image", "b2")
    outcome = environment.deploy()
    assert outcome.result is Result.TAKEN_BACK
    assert "cannot be watched" in str(outcome.reason)
    assert environment.live["get-image"] == "1"


def test_deploy_with_brief_cloudwatch_failure_succeeds(environment: FakeEnvironment) -> None:
    environment.cloudwatch_failures = 2
    environment.image("get-image", "b2")
    assert environment.deploy().result is Result.RELEASED


def test_deploy_with_missing_alarm_fails_before_apply(
    environment: FakeEnvironment,
) -> None:
    environment.alarms["before-missing"] = "missing"
    environment.order(alarms={"get-image": ["before-missing"]})
    environment.image("get-image", "b2")
    with pytest.raises(Exception, match="expected the alarms before-missing, found none"):
        environment.deploy()
    assert "apply" not in environment.calls


def test_deploy_interrupted_is_taken_back(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")

    def interrupt(_left: float) -> None:
        raise KeyboardInterrupt

    releaser = replace(environment.releaser, report=Reporter(environment.steps.append, interrupt))
    outcome = releaser.deploy(CAREFUL)
    assert (outcome.result, outcome.reason) == (Result.TAKEN_BACK, "interrupted")
    assert environment.live["get-image"] == "1"


def test_deploy_after_killed_release_completes_it(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")

    def kill(_left: float) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        replace(environment.releaser, report=Reporter(environment.steps.append, kill)).deploy(
            CAREFUL
        )
    assert environment.weights == {"get-image": {"2": 0.1}}
    outcome = environment.deploy()
    assert (outcome.result, outcome.moved) == (Result.RELEASED, (Moved("get-image", "1", "2"),))
    assert environment.asked[-1] == ["api-5xx", "get-image-errors"]
    environment.rollback()
    assert environment.live["get-image"] == "1"


def test_deploy_without_alarms_reports_it(environment: FakeEnvironment) -> None:
    environment.image("process-image", "c2")
    assert environment.deploy().result is Result.RELEASED
    assert "there are no alarms to watch: the release is not tried out" in environment.steps


def test_rollback_restores_previous_versions(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    environment.image("list-images", "a2")
    environment.deploy()
    released_at = datetime.fromisoformat(environment.record["changed_at"])
    outcome = environment.rollback()
    assert outcome.result is Result.ROLLED_BACK
    assert outcome.moved == (Moved("get-image", "2", "1"), Moved("list-images", "2", "1"))
    assert datetime.fromisoformat(environment.record["changed_at"]) > released_at
    assert environment.live == {"list-images": "1", "get-image": "1", "process-image": "1"}
    assert environment.deploy().result is Result.NOTHING


def test_rollback_undoes_only_last_release(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    environment.deploy()
    environment.image("list-images", "a2")
    environment.deploy()
    environment.rollback()
    assert environment.live == {"list-images": "1", "get-image": "2", "process-image": "1"}


def test_rollback_twice_is_refused(environment: FakeEnvironment) -> None:
    environment.image("get-image", "b2")
    environment.deploy()
    environment.rollback()
    with pytest.raises(PermanentError, match="nothing was released since"):
        environment.rollback()


def test_deploy_with_deletions_requires_permission(environment: FakeEnvironment) -> None:
    gone = {
        "address": 'module.queue["old"].aws_sqs_queue.this',
        "mode": "managed",
        "type": "aws_sqs_queue",
        "change": {"actions": ["delete"], "after_unknown": {}},
    }
    environment.order(other_changes=[gone])
    with pytest.raises(PermanentError, match=r"the plan deletes module\.queue\[\"old\"\]"):
        environment.deploy()
    assert "apply" not in environment.calls
    outcome = environment.deploy(replace(CAREFUL, deletions=True))
    assert outcome.result is Result.RELEASED
    assert outcome.others == ('module.queue["old"].aws_sqs_queue.this',)


def test_terraform_missing_error_says_what_to_install(
    environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PermanentError, match="command 'terraform' not found: install Terraform"):
        environment.terraform.init()


def test_environment_unknown_error_lists_known_ones(environment: FakeEnvironment) -> None:
    with pytest.raises(PermanentError, match=r"expected an environment of test .*, got 'live'"):
        replace(environment.terraform, environment="live").init()


def test_environment_registry_is_refused(environment: FakeEnvironment) -> None:
    (environment.lab.parent / "environments" / "registry.tfvars").write_text("")
    with pytest.raises(PermanentError, match=r"of test .*, got 'registry'"):
        replace(environment.terraform, environment="registry").init()


def test_init_without_state_bucket_fails_before_terraform_runs(
    environment: FakeEnvironment,
) -> None:
    backend = environment.lab.parent / "environments" / "test.s3.tfbackend"
    backend.write_text('key = "lab.tfstate"\n')
    with pytest.raises(PermanentError, match="expected the bucket of the state, in --state-bucket"):
        environment.terraform.init()
    assert environment.calls == []
    backend.write_text('key = "lab.tfstate"\nbucket = "states"\n')
    environment.terraform.init()
    assert environment.calls == ["init"]


def test_init_of_environment_uses_its_own_state(environment: FakeEnvironment) -> None:
    (environment.lab.parent / "environments" / "test.s3.tfbackend").write_text("")
    replace(environment.terraform, state_bucket="states").init()
    line = (environment.lab / "environment" / "calls").read_text().splitlines()[-1]
    assert "-reconfigure" in line
    assert line.endswith("test.s3.tfbackend -backend-config=bucket=states")


def test_terraform_that_hangs_is_stopped_after_timeout(
    environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.order(hangs="plan")
    monkeypatch.setattr(terraform_module, "PLAN_SECONDS", 0.5)
    with pytest.raises(TerraformError, match=r"terraform plan did not end in 0\.5 s"):
        environment.terraform.plan()


def test_deploy_records_the_sending_rate_of_ses_for_terraform(environment: FakeEnvironment) -> None:
    environment.order(mail_rate_wanted=True)
    environment.deploy(replace(CAREFUL, only_plan=True))
    assert "mail_rate" not in environment.record
    environment.deploy()
    assert environment.record["mail_rate"] == 14.0
    environment.mail_rate = None
    environment.image("get-image", "b2")
    assert environment.deploy().result is Result.RELEASED
    assert environment.record == {
        "before": {"list-images": "1", "get-image": "1", "process-image": "1"},
        "held": {},
        "mail_rate": 14.0,
        "environment": "test",
        "changed_at": environment.record["changed_at"],
    }
    assert any("cannot be read" in step for step in environment.steps)
    environment.mail_rate = 50.0
    environment.rollback()
    environment.deploy()
    assert environment.record["mail_rate"] == 50.0
    assert environment.live["get-image"] == "1"


def test_deploy_of_a_lab_without_e_mails_asks_for_no_rate(environment: FakeEnvironment) -> None:
    environment.deploy()
    assert "mail_rate" not in environment.record
