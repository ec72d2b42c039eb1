output "name" {
  description = "The queue's name."
  value       = aws_sqs_queue.this.name
}

output "url" {
  description = "The queue's URL."
  value       = aws_sqs_queue.this.url
}

output "arn" {
  description = "The queue's ARN."
  value       = aws_sqs_queue.this.arn
}

output "dead_letter_name" {
  description = "The dead letter queue's name."
  value       = aws_sqs_queue.dead_letters.name
}

output "dead_letter_url" {
  description = "The dead letter queue's URL."
  value       = aws_sqs_queue.dead_letters.url
}

output "dead_letter_arn" {
  description = "The dead letter queue's ARN."
  value       = aws_sqs_queue.dead_letters.arn
}
