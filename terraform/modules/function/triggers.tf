# Event sources of the function: its queue and the warmer.

resource "aws_lambda_event_source_mapping" "queue" {
  count = var.queue == null || local.queue == null ? 0 : 1

  event_source_arn                   = var.queue.arn
  function_name                      = aws_lambda_alias.live.arn
  batch_size                         = local.queue.batch_size
  maximum_batching_window_in_seconds = local.queue.batch_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = var.tags

  # Lambda receives only as many messages as may run. A reserved concurrency would throttle calls after the
  # receive and use up receives.
  scaling_config {
    maximum_concurrency = coalesce(var.maximum_concurrency, local.queue.maximum_concurrency)
  }

  # A function that reports failed messages succeeds in AWS/Lambda's `Errors`. These count its messages:
  # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html#event-source-mapping-metrics
  dynamic "metrics_config" {
    for_each = var.event_source_metrics_enabled ? ["EventCount"] : []

    content {
      metrics = [metrics_config.value]
    }
  }

  lifecycle {
    precondition {
      condition     = local.queue.batch_size <= 10 || local.queue.batch_window_seconds >= 1
      error_message = "${var.definition.name}: Lambda needs a batch window of 1 second or more for batches of more than 10 messages."
    }
  }
}

resource "aws_cloudwatch_event_rule" "warmer" {
  count = var.warmer_schedule == null ? 0 : 1

  name                = "${local.function_name}-warmer"
  description         = "Keeps one environment of ${var.definition.name} initialised."
  schedule_expression = var.warmer_schedule
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "warmer" {
  count = var.warmer_schedule == null ? 0 : 1

  rule  = aws_cloudwatch_event_rule.warmer[0].name
  arn   = aws_lambda_alias.live.arn
  input = local.warm_up
}

resource "aws_lambda_permission" "warmer" {
  count = var.warmer_schedule == null ? 0 : 1

  statement_id  = "Warmer"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.live.name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.warmer[0].arn
}
