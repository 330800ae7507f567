// Starts Scalar's API reference on this page. It loads nothing from another host.
Scalar.createApiReference("#reference", {
  url: `${document.documentElement.dataset.root}/openapi.json`,
  withDefaultFonts: false, // they would come from another host
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: "never",
  theme: "none",
  authentication: { preferredSecurityScheme: "HTTPBearer" },
  defaultHttpClient: { targetKey: "shell", clientKey: "curl" },
});
