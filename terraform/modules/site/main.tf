# The web page: a private bucket behind CloudFront, and the API on the same origin.

locals {
  has_stripe = var.stripe_publishable_key != null
  files = { for path in fileset(var.folder, "**") : path => path
  if path != "config.json" && (path != "pay.html" || local.has_stripe) }
  # Pages have addresses without `.html`: /docs.
  keys = { for path in local.files : path => path == "index.html" ? path : trimsuffix(path, ".html") }
  types = {
    html = "text/html; charset=utf-8"
    js   = "text/javascript; charset=utf-8"
    css  = "text/css; charset=utf-8"
    svg  = "image/svg+xml"
    json = "application/json"
  }
  revalidate = "no-cache"
  # The names of files in assets/ have a hash of their content.
  for_a_year = "public, max-age=31536000, immutable"

  storage = join(" ", var.storage_origins)
  # As content_security_policy in services/gateway/site.py; a test compares the two.
  content_security_policy = join("; ", [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob: ${local.storage}",
    "connect-src 'self' ${local.storage}",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ])
  # As payment_policy there.
  payment_policy = join("; ", [
    "default-src 'none'",
    "script-src 'self' https://js.stripe.com https://*.js.stripe.com",
    "style-src 'self'",
    "img-src 'self' https://*.stripe.com",
    "connect-src 'self' https://api.stripe.com",
    "frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ])
  policies = merge(
    { page = local.content_security_policy },
    local.has_stripe ? { payment = local.payment_policy } : {},
  )
}

# -- files

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:CloudFront is the only reader, and the files are public.
  #checkov:skip=CKV_AWS_21:The files are in the repository; a release replaces them.
  #checkov:skip=CKV_AWS_144:The files are in the repository.
  #checkov:skip=CKV_AWS_145:The files are public; S3's own key encrypts them.
  #checkov:skip=CKV2_AWS_61:Files of earlier builds are removed by Terraform.
  #checkov:skip=CKV2_AWS_62:Nothing follows from a change of a file.
  bucket        = join("-", compact([var.prefix, "site", var.bucket_suffix]))
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ReadByThisDistribution"
      Effect    = "Allow"
      Principal = { Service = "cloudfront.amazonaws.com" }
      Action    = "s3:GetObject"
      Resource  = "${aws_s3_bucket.this.arn}/*"
      Condition = { StringEquals = { "aws:SourceArn" = aws_cloudfront_distribution.this.arn } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_object" "file" {
  for_each = local.keys

  bucket        = aws_s3_bucket.this.id
  key           = each.value
  source        = "${var.folder}/${each.key}"
  etag          = filemd5("${var.folder}/${each.key}")
  content_type  = lookup(local.types, reverse(split(".", each.key))[0], "application/octet-stream")
  cache_control = startswith(each.key, "assets/") ? local.for_a_year : local.revalidate
}

resource "aws_s3_object" "configuration" {
  bucket        = aws_s3_bucket.this.id
  key           = "config.json"
  content       = jsonencode({ payment_methods = var.payment_methods, stripe_publishable_key = var.stripe_publishable_key })
  content_type  = local.types.json
  cache_control = local.revalidate
}

# -- distribution

# AWS's own policies, by id: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
# and https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
locals {
  caching_optimized              = "658327ea-f89d-4fab-a63d-7e88639e58f6"
  caching_disabled               = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
  all_viewer_except_host_headers = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
}

resource "aws_cloudfront_origin_access_control" "this" {
  name                              = "${var.prefix}-site"
  description                       = "Reads the files of the page."
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_function" "session" {
  name    = "${var.prefix}-session"
  comment = "Session cookie to Authorization header."
  runtime = "cloudfront-js-2.0"
  publish = true
  code    = file("${path.module}/session.js")
}

resource "aws_cloudfront_response_headers_policy" "this" {
  #checkov:skip=CKV_AWS_259:It is set for a year; subdomains and preload lists are for the owner of the domain to decide.
  for_each = local.policies

  name    = "${var.prefix}-${each.key}"
  comment = "Security headers of the ${each.key}."

  security_headers_config {
    content_security_policy {
      content_security_policy = each.value
      override                = true
    }
    content_type_options {
      override = true
    }
    referrer_policy {
      referrer_policy = "no-referrer"
      override        = true
    }
    strict_transport_security {
      access_control_max_age_sec = 31536000
      override                   = true
    }
  }

  custom_headers_config {
    items {
      header   = "cross-origin-opener-policy"
      value    = "same-origin"
      override = true
    }
    items {
      header   = "permissions-policy"
      value    = "camera=(), geolocation=(), microphone=()"
      override = true
    }
  }
}

resource "aws_cloudfront_distribution" "this" {
  #checkov:skip=CKV2_AWS_32:Files have a policy; the API sets the headers of its answers.
  #checkov:skip=CKV_AWS_68:A firewall costs for each request; attach one to the output `distribution_arn`.
  #checkov:skip=CKV2_AWS_47:As above.
  #checkov:skip=CKV_AWS_86:The API logs its requests; files are public.
  #checkov:skip=CKV_AWS_310:The page has one region, as the API.
  #checkov:skip=CKV_AWS_374:Customers may be anywhere.
  #checkov:skip=CKV_AWS_174:Without a domain CloudFront's own certificate sets the TLS version.
  #checkov:skip=CKV2_AWS_42:Without a domain CloudFront's own certificate is used.
  comment             = "${var.prefix}: the web page and the API"
  enabled             = true
  is_ipv6_enabled     = true
  http_version        = "http2and3"
  price_class         = var.price_class
  default_root_object = "index.html"
  aliases             = var.domain[*].name
  tags                = var.tags

  origin {
    origin_id                = "files"
    domain_name              = aws_s3_bucket.this.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.this.id
  }

  origin {
    origin_id   = "api"
    domain_name = split("/", trimprefix(var.api_url, "https://"))[0]

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
      origin_read_timeout    = 30
    }
  }

  default_cache_behavior {
    target_origin_id           = "files"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = local.caching_optimized
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this["page"].id
    viewer_protocol_policy     = "redirect-to-https"
  }

  # The payment page alone may load Stripe's script.
  dynamic "ordered_cache_behavior" {
    for_each = local.has_stripe ? ["/pay"] : []

    content {
      path_pattern               = ordered_cache_behavior.value
      target_origin_id           = "files"
      allowed_methods            = ["GET", "HEAD"]
      cached_methods             = ["GET", "HEAD"]
      compress                   = true
      cache_policy_id            = local.caching_optimized
      response_headers_policy_id = aws_cloudfront_response_headers_policy.this["payment"].id
      viewer_protocol_policy     = "redirect-to-https"
    }
  }

  dynamic "ordered_cache_behavior" {
    for_each = sort(var.api_paths)

    content {
      path_pattern             = "/${ordered_cache_behavior.value}*"
      target_origin_id         = "api"
      allowed_methods          = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
      cached_methods           = ["GET", "HEAD"]
      compress                 = true
      cache_policy_id          = local.caching_disabled
      origin_request_policy_id = local.all_viewer_except_host_headers
      viewer_protocol_policy   = "https-only"

      function_association {
        event_type   = "viewer-request"
        function_arn = aws_cloudfront_function.session.arn
      }
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.domain == null
    acm_certificate_arn            = one(var.domain[*].certificate_arn)
    ssl_support_method             = var.domain == null ? null : "sni-only"
    minimum_protocol_version       = var.domain == null ? "TLSv1" : "TLSv1.2_2021"
  }
}

resource "aws_route53_record" "this" {
  for_each = try(var.domain.zone_id, null) == null ? toset([]) : toset(["A", "AAAA"])

  zone_id = var.domain.zone_id
  name    = var.domain.name
  type    = each.key

  alias {
    name                   = aws_cloudfront_distribution.this.domain_name
    zone_id                = aws_cloudfront_distribution.this.hosted_zone_id
    evaluate_target_health = false
  }
}
