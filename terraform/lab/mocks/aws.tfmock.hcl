# Responses of AWS that the configuration uses.

mock_data "aws_partition" {
  defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
}
mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}
mock_data "aws_region" {
  defaults = { id = "eu-central-1" }
}
mock_data "aws_availability_zones" {
  defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"], zone_ids = ["euc1-az2", "euc1-az3", "euc1-az1"] }
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
mock_resource "aws_ses_domain_identity" {
  defaults = { arn = "arn:aws:ses:eu-central-1:123456789012:identity/example.com" }
}
mock_resource "aws_ses_configuration_set" {
  defaults = { arn = "arn:aws:ses:eu-central-1:123456789012:configuration-set/darkroom" }
}
mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
}
mock_resource "aws_backup_vault" {
  defaults = { arn = "arn:aws:backup:eu-west-1:123456789012:backup-vault:darkroom-copies" }
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
mock_resource "aws_rds_cluster" {
  defaults = {
    arn                = "arn:aws:rds:eu-central-1:123456789012:cluster:darkroom-database", endpoint = "db.example"
    master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds-abcdef", kms_key_id = "", secret_status = "active" }]
  }
}
mock_resource "aws_db_proxy" {
  defaults = { arn = "arn:aws:rds:eu-central-1:123456789012:db-proxy:prx-0123456789abcdef0", endpoint = "proxy.example" }
}
mock_resource "aws_db_proxy_default_target_group" {
  defaults = { name = "default" }
}
mock_resource "aws_appautoscaling_policy" {
  defaults = { arn = "arn:aws:autoscaling:eu-central-1:123456789012:scalingPolicy:0-0-0:resource/ecs/service/a/b:policyName/c" }
}
mock_resource "aws_ecs_cluster" {
  defaults = { arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/darkroom" }
}
mock_resource "aws_ecs_task_definition" {
  defaults = { arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/darkroom-process-image:1" }
}

# SES always makes three keys.
mock_resource "aws_ses_domain_dkim" {
  defaults = { dkim_tokens = ["key1", "key2", "key3"] }
}
