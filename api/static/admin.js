// Keeps a page of the dashboard fresh: the server says that there is something new, and draws it.

const live = document.querySelector("[data-live]");

document.addEventListener("change", (event) => {
  if (!event.target.matches("input.all")) return;
  for (const box of document.querySelectorAll("input[name=ids]"))
    box.checked = event.target.checked;
});

// What a person is in the middle of survives: ticks, the focus, opened details.
function swap(old, fresh) {
  const key = (element) =>
    element?.id ||
    (element?.name ? `${element.name}=${element.value}` : element?.getAttribute?.("href"));
  const ticked = new Set(
    [...old.querySelectorAll("input[name=ids]:checked")].map((box) => box.value),
  );
  const all = old.querySelector("input.all")?.checked;
  const focused = old.contains(document.activeElement) ? key(document.activeElement) : null;
  old.innerHTML = fresh.innerHTML;
  for (const box of old.querySelectorAll("input[name=ids]")) box.checked = ticked.has(box.value);
  if (all) old.querySelector("input.all").checked = true;
  if (focused)
    [...old.querySelectorAll("a, button, input")]
      .find((element) => key(element) === focused)
      ?.focus();
}

let busy = false;
async function refresh() {
  if (busy || document.hidden) return;
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected || !answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-live]") ?? page.querySelector("#live");
    if (fresh && fresh.innerHTML !== live.innerHTML) swap(live, fresh);
  } catch {
    /* the network is unavailable: the next event tries again */
  } finally {
    busy = false;
  }
}

if (live) {
  const source = new EventSource("/admin/api/events");
  source.addEventListener("changed", refresh);
  source.addEventListener("tick", refresh);
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setInterval(refresh, 5000);
  };
  document.addEventListener("visibilitychange", refresh);
}
