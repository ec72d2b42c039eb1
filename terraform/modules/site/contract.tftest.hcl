mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::darkroom-site", bucket_regional_domain_name = "darkroom-site.s3.eu-central-1.amazonaws.com" }
  }
  mock_resource "aws_cloudfront_distribution" {
    defaults = { arn = "arn:aws:cloudfront::123456789012:distribution/E1", domain_name = "d1.cloudfront.net", hosted_zone_id = "Z2" }
  }
  mock_resource "aws_cloudfront_function" {
    defaults = { arn = "arn:aws:cloudfront::123456789012:function/darkroom-session" }
  }
}

variables {
  folder          = "../../../services/web/dist"
  api_url         = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com"
  api_paths       = ["images", "users", "sessions"]
  storage_origins = ["https://s3.eu-central-1.amazonaws.com"]
}

run "files_are_read_by_the_distribution_only" {
  command = apply

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Condition.StringEquals["aws:SourceArn"] == aws_cloudfront_distribution.this.arn && length(jsondecode(aws_s3_bucket_policy.this.policy).Statement) == 1
    error_message = "expected one statement, for this distribution"
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.this.block_public_policy && aws_s3_bucket_public_access_block.this.restrict_public_buckets
    error_message = "expected a private bucket"
  }
  assert {
    condition     = aws_cloudfront_origin_access_control.this.signing_behavior == "always"
    error_message = "expected signed requests to the bucket"
  }
}

run "files_are_cached_by_hash_and_pages_are_revalidated" {
  command = apply

  assert {
    condition     = alltrue([for path, file in aws_s3_object.file : file.cache_control == (startswith(path, "assets/") ? "public, max-age=31536000, immutable" : "no-cache")])
    error_message = "expected a year for files with a hash in their name only"
  }
  assert {
    condition     = aws_s3_object.file["index.html"].content_type == "text/html; charset=utf-8" && aws_s3_object.file["docs.html"].key == "docs"
    error_message = "expected pages as HTML, without .html in their address"
  }
  assert {
    condition     = jsondecode(aws_s3_object.configuration.content) == { payment_methods = [], stripe_publishable_key = null }
    error_message = "expected no payment method of the sandbox"
  }
  assert {
    condition     = !contains(keys(aws_s3_object.file), "pay.html")
    error_message = "expected no payment page without Stripe"
  }
}

run "api_is_on_the_same_origin_uncached_with_the_session" {
  command = apply

  assert {
    condition     = [for b in aws_cloudfront_distribution.this.ordered_cache_behavior : b.path_pattern] == ["/images*", "/sessions*", "/users*"]
    error_message = "expected the API's paths"
  }
  assert {
    condition = alltrue([for b in aws_cloudfront_distribution.this.ordered_cache_behavior :
      b.target_origin_id == "api" && b.cache_policy_id == local.caching_disabled && b.viewer_protocol_policy == "https-only" && one(b.function_association).function_arn == aws_cloudfront_function.session.arn
    ])
    error_message = "expected requests to the API by TLS, uncached and with the session's header"
  }
  assert {
    condition     = one([for o in aws_cloudfront_distribution.this.origin : o.domain_name if o.origin_id == "api"]) == "a1b2c3.execute-api.eu-central-1.amazonaws.com"
    error_message = "expected the API's host as an origin"
  }
}

run "page_has_a_strict_policy" {
  command = apply

  assert {
    condition     = strcontains(local.content_security_policy, "script-src 'self';") && !strcontains(local.content_security_policy, "unsafe") && strcontains(local.content_security_policy, "connect-src 'self' https://s3.eu-central-1.amazonaws.com;")
    error_message = "expected no inline code, and photos from storage only"
  }
  assert {
    condition     = aws_cloudfront_distribution.this.default_cache_behavior[0].response_headers_policy_id == aws_cloudfront_response_headers_policy.this["page"].id
    error_message = "expected the security headers on every file"
  }
  assert {
    condition     = !strcontains(join(" ", values(local.policies)), "stripe")
    error_message = "expected nothing of Stripe's without its key"
  }
}

run "only_the_payment_page_may_load_stripe" {
  command = apply

  variables {
    stripe_publishable_key = "pk_test_1"
  }

  assert {
    condition     = aws_s3_object.file["pay.html"].key == "pay" && jsondecode(aws_s3_object.configuration.content).stripe_publishable_key == "pk_test_1"
    error_message = "expected the payment page and its key"
  }
  assert {
    condition     = { for b in aws_cloudfront_distribution.this.ordered_cache_behavior : b.path_pattern => b.response_headers_policy_id if b.response_headers_policy_id != null && b.response_headers_policy_id != "" } == { "/pay" = aws_cloudfront_response_headers_policy.this["payment"].id }
    error_message = "expected Stripe in the policy of /pay only"
  }
  assert {
    condition     = !strcontains(local.policies["page"], "stripe") && !strcontains(local.policies["payment"], "unsafe")
    error_message = "expected no other page that loads Stripe's script"
  }
}

run "secret_key_of_stripe_is_refused" {
  command = plan

  variables {
    stripe_publishable_key = "sk_test_1"
  }

  expect_failures = [var.stripe_publishable_key]
}

run "domain_has_its_certificate_and_records" {
  command = apply

  variables {
    domain = { name = "photos.example.com", certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1", zone_id = "Z1" }
  }

  assert {
    condition     = aws_cloudfront_distribution.this.viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021" && contains(aws_cloudfront_distribution.this.aliases, "photos.example.com")
    error_message = "expected the domain with TLS 1.2 at least"
  }
  assert {
    condition     = toset(keys(aws_route53_record.this)) == toset(["A", "AAAA"]) && output.url == "https://photos.example.com"
    error_message = "expected records for IPv4 and IPv6"
  }
}

run "api_without_tls_is_refused" {
  command = plan

  variables {
    api_url = "http://a1b2c3.example.com"
  }

  expect_failures = [var.api_url]
}

run "pattern_as_path_is_refused" {
  command = plan

  variables {
    api_paths = ["/images/*"]
  }

  expect_failures = [var.api_paths]
}
