output "url" {
  description = "URL of the API."
  value       = var.domain == null ? aws_apigatewayv2_api.this.api_endpoint : "https://${var.domain.name}"
}

output "id" {
  description = "The API's id."
  value       = aws_apigatewayv2_api.this.id
}

output "execution_arn" {
  description = "Prefix of the ARNs of the API's calls."
  value       = aws_apigatewayv2_api.this.execution_arn
}

output "stage_name" {
  description = "Name of the only stage."
  value       = aws_apigatewayv2_stage.default.name
}

output "log_group_name" {
  description = "Name of the access log group."
  value       = aws_cloudwatch_log_group.access.name
}

output "domain_target" {
  description = "Target of the domain's DNS record; null without a domain."
  value       = one(aws_apigatewayv2_domain_name.this[*].domain_name_configuration[0].target_domain_name)
}
