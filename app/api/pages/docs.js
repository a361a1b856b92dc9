"use strict";
// Addresses are relative: the page may lie below any path. No validator is asked: that would be somebody else's server.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  showExtensions: false,
  validatorUrl: null,
});
