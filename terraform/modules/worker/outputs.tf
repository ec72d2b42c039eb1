output "service_name" {
  description = "The ECS service's name."
  value       = aws_ecs_service.this.name
}

output "task_role_arn" {
  description = "ARN of the role of the function's code."
  value       = aws_iam_role.task.arn
}

output "task_role_name" {
  description = "Name of the role of the function's code."
  value       = aws_iam_role.task.name
}

output "task_definition_arn" {
  description = "The task definition, with its revision."
  value       = aws_ecs_task_definition.this.arn
}

output "log_group_name" {
  description = "The worker's log."
  value       = aws_cloudwatch_log_group.this.name
}

output "scaling_names" {
  description = "Names of the settings of `scaling`."
  value       = keys(var.scaling)
}
