# A repository for each function. All environments of an account and region share the registry, so that
# production runs the same digests that development tested.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  emulated  = var.target != "aws"
  functions = toset([for path in fileset("${path.module}/../../images", "*/function.yaml") : dirname(path)])
}

resource "aws_ecr_repository" "this" {
  for_each = local.functions

  name                 = "${var.repository_prefix}/${each.key}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.force_delete

  image_scanning_configuration {
    scan_on_push = true
  }

  # The AWS managed key: images contain no customer data, and Lambda needs no grant to pull.
  encryption_configuration {
    encryption_type = "AES256"
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name
  policy = jsonencode({
    rules = [
      {
        # ECR never expires an image by a rule after the first whose tags it matches, so this keeps
        # them: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
        rulePriority = 1
        description  = "Images of live and previous versions, which releases tag, stay."
        selection    = { tagStatus = "tagged", tagPatternList = ["live-*"], countType = "imageCountMoreThan", countNumber = 1000 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "Images without a tag are unused."
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 1 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 3
        description  = "The newest stay, to roll back to."
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.images_kept }
        action       = { type = "expire" }
      },
    ]
  })
}

# The Lambda service pulls the image when it creates or activates a function: only for functions of this
# account, or one that shares the registry, in this region, and each only its own image.
# https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#configuration-images-xaccount-permissions
resource "aws_ecr_repository_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "LambdaPulls"
        Effect    = "Allow"
        Principal = { Service = "lambda.amazonaws.com" }
        Action    = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Condition = {
          ArnLike = {
            "aws:SourceArn" = [
              for account in concat([data.aws_caller_identity.current.account_id], var.reader_accounts) :
              "arn:${data.aws_partition.current.partition}:lambda:${var.region}:${account}:function:${var.function_prefix}*-${each.key}"
            ]
          }
        }
      }],
      length(var.reader_accounts) == 0 ? [] : [{
        Sid       = "AccountsPull"
        Effect    = "Allow"
        Principal = { AWS = [for account in var.reader_accounts : "arn:${data.aws_partition.current.partition}:iam::${account}:root"] }
        # A release reads scan results, and tags the images that are live. ECR has no permission to remove
        # a tag other than that to delete images.
        Action = [
          "ecr:BatchDeleteImage", "ecr:BatchGetImage", "ecr:DescribeImages", "ecr:DescribeImageScanFindings",
          "ecr:GetDownloadUrlForLayer", "ecr:PutImage",
        ]
      }],
    )
  })
}
