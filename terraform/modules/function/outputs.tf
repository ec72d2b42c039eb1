output "name" {
  description = "Name of the Lambda function."
  value       = aws_lambda_function.this.function_name
}

output "arn" {
  description = "The function's ARN, without a version."
  value       = aws_lambda_function.this.arn
}

output "alias_arn" {
  description = "ARN of the alias `live`, which callers use."
  value       = aws_lambda_alias.live.arn
}

output "alias_name" {
  description = "The alias's name."
  value       = aws_lambda_alias.live.name
}

output "alias_invoke_arn" {
  description = "Invocation ARN of the alias for API Gateway."
  value       = aws_lambda_alias.live.invoke_arn
}

output "version" {
  description = "The newest version."
  value       = aws_lambda_function.this.version
}

output "live_version" {
  description = "The version that the alias points to."
  value       = aws_lambda_alias.live.function_version
}

output "event_source_uuid" {
  description = "The dimension `EventSourceMappingUUID` of the queue's metrics; null without a queue."
  value       = one(aws_lambda_event_source_mapping.queue[*].uuid)
}

output "role_arn" {
  description = "ARN of the function's role."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Name of the function's role."
  value       = aws_iam_role.this.name
}

output "log_group_name" {
  description = "The function's log."
  value       = aws_cloudwatch_log_group.this.name
}

output "provisioned_concurrency_names" {
  description = "Names of the settings of `provisioned_concurrency`."
  value       = keys(var.provisioned_concurrency)
}
