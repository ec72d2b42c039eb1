# What GitHub Actions may do in this account, without stored credentials: each job exchanges its OIDC token
# for a role, and the role's trust names the repository and the kind of run.
# https://docs.github.com/en/actions/concepts/security/openid-connect

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  emulated  = var.target != "aws"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  arn       = "arn:${local.partition}"
  issuer    = "token.actions.githubusercontent.com"
  provider  = var.oidc_provider_arn != null ? var.oidc_provider_arn : aws_iam_openid_connect_provider.github[0].arn
  images    = "${local.arn}:ecr:${var.region}:${local.account}:repository/${var.registry_prefix}/*"
  state     = "${local.arn}:s3:::${var.state_bucket}"

  # Role to the runs that may assume it, by the subject of their token.
  subjects = merge(
    {
      plan = ["repo:${var.repository}:pull_request", "repo:${var.repository}:ref:refs/heads/${var.branch}"]
      push = ["repo:${var.repository}:ref:refs/heads/${var.branch}"]
    },
    # GitHub gives such a token only after the environment's reviewers have approved the job.
    { for name in keys(var.environments) : "deploy-${name}" => ["repo:${var.repository}:environment:${name}"] },
    { for name in keys(var.environments) : "restore-drill-${name}" => ["repo:${var.repository}:ref:refs/heads/${var.branch}"] },
  )
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

# The path keeps these roles out of the names that the deploying roles may change.
resource "aws_iam_role" "this" {
  for_each = local.subjects

  name                 = "darkroom-pipeline-${each.key}"
  path                 = "/pipeline/"
  description          = "GitHub Actions of ${var.repository}: ${each.key}."
  max_session_duration = startswith(each.key, "plan") || each.key == "push" ? 3600 : 7200

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = local.provider }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = each.value
        }
      }
    }]
  })
}

# A pull request's code decides what `plan` reads: no customers' data and no secrets.
resource "aws_iam_role_policy_attachment" "plan" {
  role       = aws_iam_role.this["plan"].name
  policy_arn = "${local.arn}:iam::aws:policy/ReadOnlyAccess"
}

resource "aws_iam_role_policy" "plan" {
  name = "plan"
  role = aws_iam_role.this["plan"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "NoData"
        Effect = "Deny"
        Action = [
          "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLSelect", "dynamodb:Query", "dynamodb:Scan",
          "kms:Decrypt", "lambda:InvokeFunction", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:GetQueryResults",
          "logs:StartQuery", "rds-data:*", "secretsmanager:GetSecretValue", "sqs:ReceiveMessage",
          "xray:BatchGetTraces", "xray:GetTraceSummaries",
        ]
        Resource = ["*"]
      },
      {
        Sid         = "NoObjects"
        Effect      = "Deny"
        Action      = ["s3:GetObject", "s3:GetObjectVersion"]
        NotResource = ["${local.state}/*"]
      },
      {
        Sid      = "LockState"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:DeleteObject"]
        Resource = ["${local.state}/*.tflock"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "push" {
  name = "push"
  role = aws_iam_role.this["push"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "SignIn"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = ["*"]
      },
      {
        Sid    = "PushImages"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
          "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
        ]
        Resource = [local.images]
      },
    ]
  })
}

# A lab has resources of many services. PowerUserAccess leaves out IAM, which is allowed for the lab's names
# only. Who may deploy functions can still give a function's role any permission: the approval of the
# environment is what protects the account, and an account for each environment protects the others.
resource "aws_iam_role_policy_attachment" "deploy" {
  for_each = var.environments

  role       = aws_iam_role.this["deploy-${each.key}"].name
  policy_arn = "${local.arn}:iam::aws:policy/PowerUserAccess"
}

resource "aws_iam_role_policy" "deploy" {
  for_each = var.environments

  name = "deploy"
  role = aws_iam_role.this["deploy-${each.key}"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "RolesOfTheLab"
        Effect = "Allow"
        Action = [
          "iam:AttachRolePolicy", "iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:CreateRole", "iam:DeletePolicy",
          "iam:DeletePolicyVersion", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:Get*",
          "iam:List*", "iam:PassRole", "iam:PutRolePolicy", "iam:TagPolicy", "iam:TagRole", "iam:UntagPolicy",
          "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription",
        ]
        Resource = ["${local.arn}:iam::${local.account}:role/${each.value}-*", "${local.arn}:iam::${local.account}:policy/${each.value}-*"]
      },
      {
        Sid      = "ServiceRoles"
        Effect   = "Allow"
        Action   = ["iam:CreateServiceLinkedRole"]
        Resource = ["${local.arn}:iam::${local.account}:role/aws-service-role/*"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "restore_drill" {
  for_each = var.environments

  name = "restore-drill"
  role = aws_iam_role.this["restore-drill-${each.key}"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadDatabases"
        Effect   = "Allow"
        Action   = ["rds:DescribeDBInstances", "rds:DescribeDBSnapshots", "rds:ListTagsForResource"]
        Resource = ["*"]
      },
      {
        Sid    = "RestoreSnapshot"
        Effect = "Allow"
        Action = ["rds:AddTagsToResource", "rds:RestoreDBInstanceFromDBSnapshot"]
        Resource = [for kind in ["db:${each.value}-*", "snapshot:*${each.value}-*", "subgrp:${each.value}-*", "pg:*", "og:*"] :
        "${local.arn}:rds:${var.region}:${local.account}:${kind}"]
      },
      {
        Sid      = "ChangeDrillInstance"
        Effect   = "Allow"
        Action   = ["rds:DeleteDBInstance", "rds:ModifyDBInstance"]
        Resource = ["${local.arn}:rds:${var.region}:${local.account}:db:${each.value}-database-drill-*"]
      },
      {
        Sid      = "ReadState"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:ListBucket"]
        Resource = [local.state, "${local.state}/*"]
      },
      {
        Sid      = "ConnectByToken"
        Effect   = "Allow"
        Action   = ["rds-db:connect"]
        Resource = ["${local.arn}:rds-db:${var.region}:${local.account}:dbuser:*"]
      },
      {
        Sid      = "ReadLivePassword"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = ["${local.arn}:secretsmanager:${var.region}:${local.account}:secret:rds!*"]
      },
    ]
  })
}

resource "aws_budgets_budget" "this" {
  count = var.budget == null ? 0 : 1

  name         = "darkroom"
  budget_type  = "COST"
  limit_amount = tostring(var.budget.limit)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  cost_filter {
    name   = "TagKeyValue"
    values = ["user:project$darkroom"]
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      comparison_operator        = "GREATER_THAN"
      notification_type          = notification.key
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.budget.emails
    }
  }
}
