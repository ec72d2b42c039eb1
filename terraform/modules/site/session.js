// CloudFront Function at viewer requests to the API: the session's cookie becomes the Authorization
// header, in requests of the page itself only. services/gateway/site.py does the same in a lab.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html
function handler(event) {
  var request = event.request;
  var cookie = request.cookies['__Host-session'];
  var fetchSite = request.headers['sec-fetch-site'];
  if (!request.headers.authorization && cookie && cookie.value && fetchSite && fetchSite.value === 'same-origin') {
    request.headers.authorization = { value: 'Bearer ' + cookie.value };
  }
  // No function reads a cookie.
  request.cookies = {};
  return request;
}
