output "bucket_names" {
  description = "Buckets by logical name."
  value       = merge({ for name, bucket in aws_s3_bucket.this : name => bucket.id }, { for name, bucket in var.existing_buckets : name => bucket.name })
}

output "bucket_arns" {
  description = "Buckets' ARNs by logical name."
  value = merge(
    { for name, bucket in aws_s3_bucket.this : name => bucket.arn },
    { for name, bucket in var.existing_buckets : name => "arn:${data.aws_partition.current.partition}:s3:::${bucket.name}" },
  )
}

output "table_names" {
  description = "Tables by logical name."
  value       = { for name, table in aws_dynamodb_table.this : name => table.name }
}

output "table_arns" {
  description = "Tables' ARNs by logical name."
  value       = { for name, table in aws_dynamodb_table.this : name => table.arn }
}
