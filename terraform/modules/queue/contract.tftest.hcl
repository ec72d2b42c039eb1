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
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:123456789012:darkroom-start-orders" }
  }
}

variables {
  name              = "process-image"
  timeout_seconds   = 60
  max_receive_count = 5
  bucket_arns       = { originals = "arn:aws:s3:::darkroom-originals" }
}

run "queue_has_a_dead_letter_queue" {
  command = plan

  assert {
    condition     = aws_sqs_queue.this.name == "darkroom-process-image" && aws_sqs_queue.dead_letters.name == "darkroom-process-image-dead-letters"
    error_message = "expected the names of services/local/provision"
  }
  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds == 360
    error_message = "expected six function timeouts"
  }
  assert {
    condition     = aws_sqs_queue.this.sqs_managed_sse_enabled && aws_sqs_queue.dead_letters.sqs_managed_sse_enabled
    error_message = "expected both queues to be encrypted"
  }
  assert {
    condition     = aws_sqs_queue.dead_letters.message_retention_seconds == 1209600
    error_message = "expected dead letters to be kept for 14 days"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.dead_letters.redrive_allow_policy).sourceQueueArns == ["arn:aws:sqs:eu-central-1:123456789012:darkroom-process-image"]
    error_message = "expected dead letters from its own queue only"
  }
}

run "policy_allows_the_named_bucket_only" {
  command = plan

  assert {
    condition     = [for s in jsondecode(aws_sqs_queue.this.policy).Statement : s.Sid] == ["BucketOriginals", "TlsOnly"]
    error_message = "expected one sender, and only with TLS"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.this.policy).Statement[0].Condition == { ArnEquals = { "aws:SourceArn" = "arn:aws:s3:::darkroom-originals" }, StringEquals = { "aws:SourceAccount" = "123456789012" } }
    error_message = "expected a bucket of this account"
  }
}

run "policy_statements_are_sorted_by_name" {
  command = plan

  variables {
    bucket_arns      = {}
    topic_arns       = { b-events = "arn:aws:sns:eu-central-1:123456789012:darkroom-b-events", a-events = "arn:aws:sns:eu-central-1:123456789012:darkroom-a-events" }
    sender_role_arns = { order = "arn:aws:iam::123456789012:role/darkroom-order-workflow" }
    filters          = { a-events = { type = ["z", "a"] } }
    tls_only         = false
  }

  assert {
    condition     = [for s in jsondecode(aws_sqs_queue.this.policy).Statement : s.Sid] == ["TopicAEvents", "TopicBEvents", "WorkflowOrder"]
    error_message = "expected sorted statements"
  }
  assert {
    condition     = jsondecode(aws_sns_topic_subscription.this["a-events"].filter_policy) == { type = ["a", "z"] } && aws_sns_topic_subscription.this["b-events"].filter_policy == null
    error_message = "expected a filter with sorted values where the manifest has one"
  }
  assert {
    condition     = length(local.dead_letter_statements) == 0
    error_message = "expected no policy without statements"
  }
}

run "without_schedule_no_rule_is_created" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_event_rule.schedule) == 0 && length(aws_cloudwatch_event_target.schedule) == 0
    error_message = "expected no rule"
  }
}

run "policy_allows_the_own_schedule_only" {
  variables {
    name        = "start-orders"
    bucket_arns = {}
    schedule    = "rate(1 minute)"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.schedule[0].name == "darkroom-start-orders" && aws_cloudwatch_event_rule.schedule[0].schedule_expression == "rate(1 minute)"
    error_message = "expected the rule of services/local/provision"
  }
  assert {
    condition     = aws_cloudwatch_event_target.schedule[0].rule == "darkroom-start-orders" && aws_cloudwatch_event_target.schedule[0].arn == aws_sqs_queue.this.arn
    error_message = "expected the rule to send to the queue"
  }
  assert {
    condition     = [for s in jsondecode(aws_sqs_queue.this.policy).Statement : s.Sid] == ["Schedule", "TlsOnly"]
    error_message = "expected one sender, and only with TLS"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.this.policy).Statement[0].Principal == { Service = "events.amazonaws.com" } && jsondecode(aws_sqs_queue.this.policy).Statement[0].Condition == { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-central-1:123456789012:rule/darkroom-start-orders" } }
    error_message = "expected the queue's own rule as only sender"
  }
}

run "invalid_schedule_is_refused" {
  command = plan

  variables {
    schedule = "every minute"
  }

  expect_failures = [var.schedule]
}

run "values_beyond_service_limits_are_refused" {
  command = plan

  variables {
    timeout_seconds   = 901
    max_receive_count = 0
  }

  expect_failures = [var.timeout_seconds, var.max_receive_count]
}

run "policy_allows_named_rules" {
  command = plan

  variables {
    event_rules = ["darkroom-rule"]
  }

  assert {
    condition     = anytrue([for statement in local.senders : statement.Sid == "RuleDarkroomRule" && endswith(jsonencode(statement.Condition), "rule/darkroom-rule\"}}")])
    error_message = "expected that rule to be allowed to send"
  }
}
