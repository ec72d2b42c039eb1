output "roles" {
  description = "Roles by name: values of the GitHub variables AWS_PLAN_ROLE and AWS_PUSH_ROLE of the repository, AWS_DEPLOY_ROLE of each environment, and AWS_RESTORE_DRILL_ROLE."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}
