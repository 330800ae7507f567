// The button that switches between the system's theme, light and dark.
const NEXT = { system: "light", light: "dark", dark: "system" };
const root = document.documentElement;
const button = document.querySelector("#theme");

function show() {
  button.textContent = `Theme: ${root.dataset.theme ?? "system"}`;
}

if (button) {
  show();
  button.addEventListener("click", () => {
    const theme = NEXT[root.dataset.theme ?? "system"];
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      if (theme === "system") localStorage.removeItem("kammerton.theme");
      else localStorage.setItem("kammerton.theme", theme);
    } catch {
      /* storage is blocked: this page only */
    }
    show();
    document.dispatchEvent(new CustomEvent("themechange"));
  });
}
