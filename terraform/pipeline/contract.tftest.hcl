# Who may assume which role, and what the roles may not do; with a mock provider.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }
}

variables {
  region       = "eu-central-1"
  repository   = "example/photos"
  environments = { development = "darkroom-dev", production = "darkroom" }
  state_bucket = "state-of-example"
  budget       = { limit = 300, emails = ["owner@darkroom.example"] }
  tags         = { owner = "team-photos" }
}

run "roles_trust_only_their_runs" {
  assert {
    condition = { for name, role in aws_iam_role.this : name => jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] } == {
      plan                      = ["repo:example/photos:pull_request", "repo:example/photos:ref:refs/heads/main"]
      push                      = ["repo:example/photos:ref:refs/heads/main"]
      deploy-development        = ["repo:example/photos:environment:development"]
      deploy-production         = ["repo:example/photos:environment:production"]
      restore-drill-development = ["repo:example/photos:ref:refs/heads/main"]
      restore-drill-production  = ["repo:example/photos:ref:refs/heads/main"]
    }
    error_message = "expected each role to trust its own runs only"
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.this : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"])
    error_message = "expected tokens for AWS only"
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.this : role.path == "/pipeline/"])
    error_message = "expected roles that no deploying role can change"
  }
}

run "plan_reads_no_data_and_writes_only_locks" {
  assert {
    condition = length(setsubtract(
      ["dynamodb:Scan", "kms:Decrypt", "secretsmanager:GetSecretValue", "sqs:ReceiveMessage", "logs:GetLogEvents"],
      flatten([for s in jsondecode(aws_iam_role_policy.plan.policy).Statement : s.Action if s.Effect == "Deny"]),
    )) == 0
    error_message = "expected no access to data and secrets"
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.plan.policy).Statement : s.Resource if s.Effect == "Allow"] == [["arn:aws:s3:::state-of-example/*.tflock"]]
    error_message = "expected to write locks of the state only"
  }
}

run "deploying_role_changes_roles_of_its_lab_only" {
  assert {
    condition     = jsondecode(aws_iam_role_policy.deploy["development"].policy).Statement[0].Resource == ["arn:aws:iam::123456789012:role/darkroom-dev-*", "arn:aws:iam::123456789012:policy/darkroom-dev-*"]
    error_message = "expected the names of the lab in development"
  }
}

run "restore_drill_changes_its_own_instance_only" {
  assert {
    condition     = flatten([for s in jsondecode(aws_iam_role_policy.restore_drill["production"].policy).Statement : s.Resource if contains(s.Action, "rds:DeleteDBInstance") || contains(s.Action, "rds:ModifyDBInstance")]) == ["arn:aws:rds:eu-central-1:123456789012:db:darkroom-database-drill-*"]
    error_message = "expected no change of the live database"
  }
}

run "budget_warns_before_the_limit" {
  assert {
    condition     = { for n in aws_budgets_budget.this[0].notification : n.notification_type => n.threshold } == { ACTUAL = 80, FORECASTED = 100 }
    error_message = "expected a warning at 80 % spent and at 100 % forecast"
  }
}

run "existing_identity_provider_is_used_and_a_budget_is_a_choice" {
  variables {
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/existing"
    budget            = null
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && jsondecode(aws_iam_role.this["push"].assume_role_policy).Statement[0].Principal.Federated == "arn:aws:iam::123456789012:oidc-provider/existing"
    error_message = "expected the existing provider"
  }
  assert {
    condition     = length(aws_budgets_budget.this) == 0
    error_message = "expected no budget"
  }
}

run "repository_without_owner_is_refused" {
  command = plan
  variables {
    repository = "photos"
  }
  expect_failures = [var.repository]
}
