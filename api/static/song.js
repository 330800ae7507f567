// The card of one song, from the moment that its job exists.
import { credentials, watch } from "./watch.js";

const announcer = document.querySelector("#announce");

export function announce(text) {
  if (announcer && announcer.textContent !== text) announcer.textContent = text;
}

// Watch the job of a card and put the server's own picture of the result in its place.
export function follow(card, { heading = "h3", onEnd = null } = {}) {
  const id = card.dataset.job;
  const status = card.querySelector(".status");
  const cancel = card.querySelector(".cancel");
  cancel.hidden = false;
  cancel.onclick = async () => {
    cancel.disabled = true;
    status.textContent = "Canceling…";
    try {
      await fetch(`/v1/jobs/${id}/cancel`, { method: "POST", headers: credentials() });
    } catch {
      cancel.disabled = false;
    }
  };
  watch(id, {
    onProgress(text) {
      status.textContent = text;
      announce(`${card.querySelector(".name").textContent}: ${text}`);
    },
    async onEnd() {
      if (onEnd) return onEnd();
      await show(card, id, heading);
    },
    onGone() {
      status.textContent = "This job was deleted.";
      card.querySelector("progress").hidden = true;
      cancel.hidden = true;
    },
  });
}

// Fetch a card as the server draws it. Resolves to the new card, or null where there is none.
export async function show(card, id, heading = "h3") {
  const answer = await fetch(`/jobs/${id}/card?heading=${heading}`, { headers: credentials() });
  if (!answer.ok) return null;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = document.adoptNode(parsed.querySelector(".song"));
  const focused = card.contains(document.activeElement);
  card.replaceWith(fresh);
  const said = fresh.querySelector(".answer .sentence");
  if (said) {
    const pitch = fresh.querySelector(".pitch")?.textContent.replace(/\s+/g, " ") ?? "";
    announce(`${fresh.querySelector(".name").textContent}: ${pitch} ${said.textContent}`);
  }
  if (focused) {
    fresh.tabIndex = -1;
    fresh.focus();
  }
  return fresh;
}
