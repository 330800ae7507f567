// Runs before the page is drawn: scripts work, and this is the chosen theme.
document.documentElement.classList.add("js");
try {
  const theme = localStorage.getItem("kammerton.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  /* storage is blocked: the system's theme */
}
