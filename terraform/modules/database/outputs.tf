output "url" {
  description = "Where functions connect to, without a password."
  value       = "postgresql://${var.username}@${local.endpoint}:${local.port}/${var.database_name}?sslmode=${local.sslmode}"
}

output "secret_arn" {
  description = "The server's login, which RDS makes and rotates. Functions need it only where there is no proxy."
  value       = local.master_secret_arn
}

output "user_arn" {
  description = "What a role must be allowed (rds-db:connect) to enter the proxy; null without one."
  value       = var.proxy_enabled ? "arn:${local.partition}:rds-db:${local.region}:${local.account}:dbuser:${local.proxy_id}/${var.username}" : null
}

output "proxy_endpoint" {
  description = "RDS Proxy's address; null without one."
  value       = one(aws_db_proxy.this[*].endpoint)
}

output "proxy_resource_id" {
  description = "RDS Proxy's id in `rds-db` ARNs; null without one."
  value       = local.proxy_id
}

output "vpc" {
  description = "Where functions that use the database are."
  value = {
    subnet_ids         = [for subnet in aws_subnet.private : subnet.id]
    security_group_ids = [aws_security_group.clients.id]
  }
}

output "outbound_vpc" {
  description = "Where functions are that call a payment provider, too; null without a way out."
  value = var.outbound_enabled ? {
    subnet_ids         = [for subnet in aws_subnet.outbound : subnet.id]
    security_group_ids = [aws_security_group.outbound[0].id]
  } : null
}

output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "instance_identifiers" {
  description = "The servers, for their metrics."
  value       = local.serverless ? aws_rds_cluster_instance.this[*].identifier : aws_db_instance.this[*].identifier
}

output "cluster_identifier" {
  description = "The Aurora cluster, for its metrics; null for one instance."
  value       = one(aws_rds_cluster.this[*].cluster_identifier)
}
