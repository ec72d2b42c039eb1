// CloudFront Function at viewer requests to the API: the cookies of session and device become
// headers, in requests of the page itself only. services/gateway/site.py does the same in a lab.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html
function handler(event) {
  var request = event.request;
  var session = request.cookies['__Host-session'];
  var device = request.cookies['__Host-device'];
  var fetchSite = request.headers['sec-fetch-site'];
  if (fetchSite && fetchSite.value === 'same-origin') {
    if (!request.headers.authorization && session && session.value) {
      request.headers.authorization = { value: 'Bearer ' + session.value };
    }
    if (!request.headers['device-token'] && device && device.value) {
      request.headers['device-token'] = { value: device.value };
    }
  }
  // No function reads a cookie.
  request.cookies = {};
  return request;
}
