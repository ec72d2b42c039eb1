# Provisioned concurrency: a fixed number, or scaled by use and by schedules.

locals {
  provisioned_minimum = var.provisioned_concurrency.minimum
  provisioned_maximum = coalesce(var.provisioned_concurrency.maximum, local.provisioned_minimum)
  schedules           = var.provisioned_concurrency.schedules
  provisioned         = local.scaled || local.provisioned_minimum > 0
  scaling_target      = one(concat(aws_appautoscaling_target.live, aws_appautoscaling_target.scheduled))
  scaled              = local.provisioned_maximum > local.provisioned_minimum || length(local.schedules) > 0
}

resource "aws_lambda_provisioned_concurrency_config" "live" {
  count = local.provisioned && !local.scaled ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = local.provisioned_minimum
}

resource "aws_appautoscaling_target" "live" {
  count = local.scaled && length(local.schedules) == 0 ? 1 : 0

  service_namespace  = "lambda"
  resource_id        = "function:${aws_lambda_function.this.function_name}:${aws_lambda_alias.live.name}"
  scalable_dimension = "lambda:function:ProvisionedConcurrency"
  min_capacity       = local.provisioned_minimum
  max_capacity       = local.provisioned_maximum
  tags               = var.tags
}

# With schedules, which change both limits between applies; `ignore_changes` cannot be conditional. Other
# limits in the variable replace the target, and what Lambda deletes with it.
resource "terraform_data" "scheduled_limits" {
  # Without `count`: `replace_triggered_by` fails when no instance exists.
  input = length(local.schedules) > 0 ? "${local.provisioned_minimum}..${local.provisioned_maximum}" : null
}

resource "aws_appautoscaling_target" "scheduled" {
  count = length(local.schedules) > 0 ? 1 : 0

  service_namespace  = "lambda"
  resource_id        = "function:${aws_lambda_function.this.function_name}:${aws_lambda_alias.live.name}"
  scalable_dimension = "lambda:function:ProvisionedConcurrency"
  min_capacity       = local.provisioned_minimum
  max_capacity       = local.provisioned_maximum
  tags               = var.tags

  lifecycle {
    ignore_changes       = [min_capacity, max_capacity]
    replace_triggered_by = [terraform_data.scheduled_limits]
  }
}

resource "aws_appautoscaling_policy" "live" {
  count = local.scaled ? 1 : 0

  name               = "${local.function_name}-utilization"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = local.scaling_target.service_namespace
  resource_id        = local.scaling_target.resource_id
  scalable_dimension = local.scaling_target.scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value = var.provisioned_concurrency.utilization

    predefined_metric_specification {
      predefined_metric_type = "LambdaProvisionedConcurrencyUtilization"
    }
  }

  lifecycle {
    replace_triggered_by = [terraform_data.scheduled_limits]
  }
}

resource "aws_appautoscaling_scheduled_action" "live" {
  for_each = local.schedules

  name               = "${local.function_name}-${each.key}"
  service_namespace  = local.scaling_target.service_namespace
  resource_id        = local.scaling_target.resource_id
  scalable_dimension = local.scaling_target.scalable_dimension
  schedule           = each.value.schedule
  timezone           = each.value.timezone

  scalable_target_action {
    min_capacity = each.value.minimum
    max_capacity = each.value.maximum
  }

  lifecycle {
    replace_triggered_by = [terraform_data.scheduled_limits]
  }
}
