output "url" {
  description = "Connection URL for functions, without a password."
  value       = "postgresql://${var.settings.username}@${local.endpoint}:${local.port}/${var.settings.database_name}?sslmode=verify-full"
}

output "arn" {
  description = "ARN of the RDS instance, or of the Aurora cluster."
  value       = local.serverless ? one(aws_rds_cluster.this[*].arn) : one(aws_db_instance.this[*].arn)
}

output "secret_arn" {
  description = "Secret with the server's login, which RDS creates and rotates. Functions read it only without a proxy."
  value       = local.master_secret_arn
}

output "user_arn" {
  description = "Resource of `rds-db:connect` for roles that connect to the proxy; null without a proxy."
  value       = var.settings.proxy_enabled ? "arn:${local.partition}:rds-db:${local.region}:${local.account}:dbuser:${local.proxy_id}/${var.settings.username}" : null
}

output "proxy_endpoint" {
  description = "RDS Proxy's address; null without a proxy."
  value       = one(aws_db_proxy.this[*].endpoint)
}

output "proxy_resource_id" {
  description = "RDS Proxy's id in `rds-db` ARNs; null without a proxy."
  value       = local.proxy_id
}

output "vpc" {
  description = "Subnets and security groups of functions that use the database."
  value = {
    subnet_ids         = [for subnet in aws_subnet.private : subnet.id]
    security_group_ids = [aws_security_group.clients.id]
  }
}

output "outbound_vpc" {
  description = "Subnets and security groups of functions that also call a payment provider; null without outbound access."
  value = var.outbound_enabled ? {
    subnet_ids         = [for subnet in aws_subnet.outbound : subnet.id]
    security_group_ids = [aws_security_group.outbound[0].id]
  } : null
}

output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "instance_identifiers" {
  description = "Identifiers of the servers, for metrics."
  value       = local.serverless ? aws_rds_cluster_instance.this[*].identifier : aws_db_instance.this[*].identifier
}

output "cluster_identifier" {
  description = "Identifier of the Aurora cluster, for metrics; null for an instance."
  value       = one(aws_rds_cluster.this[*].cluster_identifier)
}

output "settings" {
  description = "`settings` with their defaults."
  value       = var.settings
}

output "connection_limit" {
  description = "RDS's default `max_connections` for the server's memory, or for Aurora's maximum capacity."
  value       = local.connection_limit
}
