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

// What Scalar's markup tells a screen reader wrongly, or not at all.
const REPAIRS = [
  ["button[role=search]", (button) => {
    button.removeAttribute("role");
    button.ariaLabel = "Search";
  }],
  ["button[aria-selected]", (button) => {
    button.ariaCurrent = button.ariaSelected === "true" ? "true" : null;
    button.removeAttribute("aria-selected");
  }],
  // A list of tabs may hold nothing but tabs, and this one ends with a menu: plain buttons instead.
  [".client-libraries-list[aria-orientation]", (list) => {
    list.removeAttribute("role");
    list.removeAttribute("aria-orientation");
  }],
  [".client-libraries-list [role=tab]", (tab) => {
    tab.removeAttribute("role");
    tab.tabIndex = 0;
  }],
  ["ul.endpoints:not([tabindex])", (list) => list.setAttribute("tabindex", "0")],
  ["button[role=none]", (button) => button.removeAttribute("role")],
  [".cm-content:not([aria-label])", (field) => {
    field.ariaLabel = field.closest("[aria-label]")?.ariaLabel || "Value";
  }],
  ["td input[type=checkbox]:not([aria-label])", (box) => {
    box.ariaLabel = "Send this value";
  }],
];

function repair() {
  for (const [selector, change] of REPAIRS) document.querySelectorAll(selector).forEach(change);
}

let isScheduled = false;
new MutationObserver(() => {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    repair();
  });
}).observe(document.body, {
  childList: true,
  subtree: true,
  attributeFilter: ["aria-selected", "role"],
});
