output "registry" {
  description = "The registry for `make push REGISTRY=...`."
  value       = split("/", values(aws_ecr_repository.this)[0].repository_url)[0]
}

output "repositories" {
  description = "Repository URL of each function."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.repository_url }
}
