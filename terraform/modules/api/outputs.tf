output "url" {
  description = "Where the API answers."
  value       = var.domain == null ? aws_apigatewayv2_api.this.api_endpoint : "https://${var.domain.name}"
}

output "id" {
  description = "The API's id."
  value       = aws_apigatewayv2_api.this.id
}

output "execution_arn" {
  description = "What the ARNs of the API's calls begin with."
  value       = aws_apigatewayv2_api.this.execution_arn
}

output "stage_name" {
  description = "The one stage."
  value       = aws_apigatewayv2_stage.default.name
}

output "log_group_name" {
  description = "The access log."
  value       = aws_cloudwatch_log_group.access.name
}

output "domain_target" {
  description = "Where the domain's record has to point; null without a domain."
  value       = one(aws_apigatewayv2_domain_name.this[*].domain_name_configuration[0].target_domain_name)
}
