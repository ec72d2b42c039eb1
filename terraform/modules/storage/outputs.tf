output "bucket_names" {
  description = "Buckets by logical name."
  value       = { for name, bucket in aws_s3_bucket.this : name => bucket.id }
}

output "bucket_arns" {
  description = "Buckets' ARNs by logical name."
  value       = { for name, bucket in aws_s3_bucket.this : name => bucket.arn }
}

output "table_names" {
  description = "Tables by logical name."
  value       = { for name, table in aws_dynamodb_table.this : name => table.name }
}

output "table_arns" {
  description = "Tables' ARNs by logical name."
  value       = { for name, table in aws_dynamodb_table.this : name => table.arn }
}
