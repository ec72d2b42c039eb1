# The whole lab for AWS with a mock provider, run with the variables of each environment.

mock_provider "aws" {
  source          = "./mocks"
  override_during = plan
}
mock_provider "aws" {
  alias           = "backup"
  source          = "./mocks"
  override_during = plan
}

variables {
  # Terraform's tests require values of ephemeral variables.
  external_database_password = "unused"
  payments_secret            = "unused"

  image_digests = {
    for found in fileset("../../images", "*/function.yaml") : dirname(found) => "123456789012.dkr.ecr.eu-central-1.amazonaws.com/darkroom/${dirname(found)}@sha256:${sha256(found)}"
  }
}

run "whole_lab" {
  command = plan

  assert {
    condition     = keys(module.function) == [for found in sort(fileset("../../images", "*/function.yaml")) : dirname(found)]
    error_message = "expected a Lambda function for each manifest"
  }

  assert {
    condition     = keys(module.queue) == keys(local.queue_functions) && length(local.queue_functions) > 0
    error_message = "expected a queue for each function that is triggered by one"
  }

  assert {
    condition     = length(module.api) == 1 && length(module.database) == 1
    error_message = "expected the API and the database"
  }

  assert {
    condition     = length(local.workers) == 0
    error_message = "expected no worker by default"
  }

  assert {
    # Of these actions AWS cannot restrict the resource.
    condition = alltrue([
      for s in flatten(values(local.policy_statements)) :
      length(setsubtract(s.actions, ["cloudwatch:GetMetricData", "logs:DescribeLogGroups", "logs:GetQueryResults", "sqs:ListQueues"])) == 0
      if contains(s.resources, "*")
    ])
    error_message = "expected no grant on all resources of an action that can be restricted"
  }

  assert {
    condition = alltrue([
      for name, statements in local.policy_statements : alltrue([
        for grant in local.grants[name] : local.token && grant.key == "secret/database" || contains(flatten(statements[*].actions), grant.action)
      ])
    ])
    error_message = "expected every grant of every manifest"
  }

  assert {
    condition = alltrue([
      for name in local.with_database :
      contains(keys(local.environments[name]), "DATABASE_SECRET_ARN") != contains(flatten(local.policy_statements[name][*].actions), "rds-db:connect")
    ])
    error_message = "expected either IAM tokens or a secret"
  }

  assert {
    condition     = alltrue([for name in local.with_database : local.networks[name] != null])
    error_message = "expected functions with the database in a network"
  }

  assert {
    condition     = !var.protected || local.environments["authorize-request"]["ADMINISTRATOR_SECOND_FACTOR"] == "true"
    error_message = "expected a second factor of administrators where customers' data are"
  }
}
