mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/darkroom-order-workflow" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/vendedlogs/states/darkroom-order-workflow" }
  }
  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:darkroom-order-workflow" }
  }
}

variables {
  name            = "order"
  definition_file = "../../lab/order-workflow.asl.json"
  queues = {
    for name in ["validate-order", "check-inventory", "notify-out-of-stock", "process-payment", "release-stock", "notify-payment-declined", "fulfill-order", "fail-order"] :
    name => { url = "https://sqs.eu-central-1.amazonaws.com/123456789012/darkroom-${name}", arn = "arn:aws:sqs:eu-central-1:123456789012:darkroom-${name}" }
  }
}

run "definition_contains_queue_urls" {
  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition).States.CheckInventory.Parameters.QueueUrl == "https://sqs.eu-central-1.amazonaws.com/123456789012/darkroom-check-inventory"
    error_message = "expected the queue's URL in its state"
  }
  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition).States.CheckInventory.Parameters.MessageBody["token.$"] == "$$.Task.Token"
    error_message = "expected references of the state machine to stay unchanged"
  }
}

run "role_sends_to_named_queues_only" {
  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[0].Resource == [for name in sort(keys(var.queues)) : var.queues[name].arn]
    error_message = "expected the role to send to the named queues, and to no other"
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.ArnLike["aws:SourceArn"] == "arn:aws:states:eu-central-1:123456789012:stateMachine:darkroom-order-workflow"
    error_message = "expected no other state machine to assume the role"
  }
}

run "logs_contain_no_execution_data" {
  assert {
    condition     = aws_sfn_state_machine.this.logging_configuration[0].include_execution_data == false && aws_sfn_state_machine.this.logging_configuration[0].level == "ERROR"
    error_message = "expected a log without execution data"
  }
}

run "alarms_enabled_creates_one_for_each_failure" {
  variables {
    alarms_enabled  = true
    alarm_topic_arn = "arn:aws:sns:eu-central-1:123456789012:darkroom-alarms"
  }

  assert {
    condition     = toset([for a in aws_cloudwatch_metric_alarm.this : a.metric_name]) == toset(["ExecutionsFailed", "ExecutionsTimedOut", "ExecutionThrottled"])
    error_message = "expected an alarm for each way to fail"
  }
}

run "disabled_logging_and_tracing_remove_permissions" {
  variables {
    logging_enabled = false
    tracing_enabled = false
  }

  assert {
    condition     = length(jsondecode(aws_iam_role_policy.this.policy).Statement) == 1 && length(aws_sfn_state_machine.this.logging_configuration) == 0
    error_message = "expected neither logs nor traces, and no permissions for them"
  }
}
