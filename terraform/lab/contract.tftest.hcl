# The whole lab for AWS, against a provider that only pretends; run with each environment's variables.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::a-bucket" }
  }
  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/a-table" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:123456789012:a-queue", url = "https://sqs.eu-central-1.amazonaws.com/123456789012/a-queue" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:a-topic" }
  }
  mock_resource "aws_ses_email_identity" {
    defaults = { arn = "arn:aws:ses:eu-central-1:123456789012:identity/photos@example.com" }
  }
  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a-secret-abcdef" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/a-role" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:a-log" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-central-1:123456789012:rule/a-rule" }
  }
  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:darkroom-order-workflow" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:a-function", version = "1" }
  }
  mock_resource "aws_lambda_alias" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:a-function:live", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:a-function:live/invocations" }
  }
  mock_resource "aws_apigatewayv2_api" {
    defaults = { api_endpoint = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com", execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3" }
  }
  mock_resource "aws_db_instance" {
    defaults = {
      arn                = "arn:aws:rds:eu-central-1:123456789012:db:darkroom-database", address = "db.example", port = 5432
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds-abcdef", kms_key_id = "", secret_status = "active" }]
    }
  }
  mock_resource "aws_db_proxy" {
    defaults = { arn = "arn:aws:rds:eu-central-1:123456789012:db-proxy:prx-0123456789abcdef0", endpoint = "proxy.example" }
  }
  mock_resource "aws_db_proxy_default_target_group" {
    defaults = { name = "default" }
  }
  mock_resource "aws_ecs_cluster" {
    defaults = { arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/darkroom" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/darkroom-process-image:1" }
  }
}

variables {
  # Terraform's tests want ephemeral variables to be said.
  external_database_password = "of no use here"
  payments_secret            = "of no use here"

  image_digests = {
    for found in fileset("../../images", "*/function.yaml") : dirname(found) => "123456789012.dkr.ecr.eu-central-1.amazonaws.com/darkroom/${dirname(found)}@sha256:${sha256(found)}"
  }
}

run "every_function_is_there" {
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
    error_message = "expected no worker that nobody asked for"
  }
}

run "every_right_names_its_resource" {
  assert {
    condition     = length([for s in flatten(values(local.policy_statements)) : s if contains(s.resources, "*")]) == 0
    error_message = "expected no grant on everything"
  }
  assert {
    condition = alltrue([
      for name, statements in local.policy_statements : alltrue([
        for grant in local.grants[name] : local.token && grant.key == "secret/database" || contains(flatten(statements[*].actions), grant.action)
      ])
    ])
    error_message = "expected every grant of every manifest"
  }
}

run "the_database_is_entered_by_token_or_by_secret_and_not_by_both" {
  assert {
    condition = alltrue([
      for name in local.with_database :
      contains(keys(local.environments[name]), "DATABASE_SECRET_ARN") != contains(flatten(local.policy_statements[name][*].actions), "rds-db:connect")
    ])
    error_message = "expected a token's right or a secret's address"
  }
  assert {
    condition     = alltrue([for name in local.with_database : local.networks[name] != null])
    error_message = "expected functions with the database in its network"
  }
}

run "a_worker_where_asked" {
  variables {
    compute = { process-image = "worker" }
  }

  assert {
    condition     = keys(local.workers) == ["process-image"] && !contains(keys(module.function), "process-image")
    error_message = "expected the function as a worker, and not as a Lambda function as well"
  }
}

run "a_route_is_no_worker" {
  command = plan

  variables {
    compute = { list-images = "worker" }
  }

  expect_failures = [var.compute]
}

run "a_function_without_an_image_is_refused" {
  command = plan

  variables {
    image_digests = {}
  }

  expect_failures = [var.image_digests]
}

run "an_emulator_wants_its_database_named" {
  command = plan

  variables {
    target = "ministack"
  }

  expect_failures = [aws_secretsmanager_secret.database]
}
