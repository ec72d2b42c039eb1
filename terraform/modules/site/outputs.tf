output "url" {
  description = "URL of the web page."
  value       = "https://${var.domain == null ? aws_cloudfront_distribution.this.domain_name : var.domain.name}"
}

output "distribution_arn" {
  description = "ARN of the distribution, for a firewall."
  value       = aws_cloudfront_distribution.this.arn
}

output "distribution_id" {
  description = "Id of the distribution."
  value       = aws_cloudfront_distribution.this.id
}

output "bucket" {
  description = "Name of the bucket with the files."
  value       = aws_s3_bucket.this.id
}
