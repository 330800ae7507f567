// The card of one song, from the moment that its job exists.
import { address } from "./address.js";
import { authorization, request } from "./credentials.js";
import { localNumbers, localTimes } from "./format.js";
import { watchJob } from "./job_stream.js";

const announcer = document.querySelector("#announce");

export function announce(text) {
  if (announcer && announcer.textContent !== text) announcer.textContent = text;
}

// Watch the job of a card and replace the card when the job ends. Calls onEnd(newCard).
export function follow(card, { heading = "h3", onEnd = () => {} } = {}) {
  const id = card.dataset.job;
  const status = card.querySelector(".status");
  const cancel = card.querySelector(".cancel");
  cancel.hidden = false;
  cancel.onclick = async () => {
    cancel.disabled = true;
    status.textContent = "Canceling…";
    try {
      await request(address(`/v1/jobs/${id}/cancel`), { method: "POST" });
    } catch (error) {
      status.textContent = error.message;
      cancel.disabled = false;
    }
  };
  watchJob(id, {
    onProgress(text) {
      status.textContent = text;
      announce(`${card.querySelector(".name").textContent}: ${text}`);
    },
    async onEnd() {
      onEnd(await show(card, id, heading));
    },
    onRemoved() {
      status.textContent = "This song was deleted.";
      card.querySelector("progress").hidden = true;
      cancel.hidden = true;
    },
  });
}

// Replace a card by the server's one. Resolves to the new card, or null if there is none.
export async function show(card, id, heading = "h3") {
  const response = await fetch(address(`/jobs/${id}/card?heading=${heading}`), { headers: authorization() });
  if (!response.ok) return null;
  const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = document.adoptNode(parsed.querySelector(".song"));
  const focused = card.contains(document.activeElement);
  localTimes(fresh);
  localNumbers(fresh);
  card.replaceWith(fresh);
  const sentence = fresh.querySelector(".answer .sentence");
  if (sentence) {
    const pitch = fresh.querySelector(".pitch")?.textContent.replace(/\s+/g, " ") ?? "";
    announce(`${fresh.querySelector(".name").textContent}: ${pitch} ${sentence.textContent}`);
  }
  if (focused) {
    fresh.tabIndex = -1;
    fresh.focus();
  }
  return fresh;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.delete-song");
  if (!button) return;
  const card = button.closest(".song");
  if (
    !confirm(`Delete “${card.querySelector(".name").textContent}” and its result from the server?`)
  )
    return;
  try {
    await request(address(`/v1/jobs/${card.dataset.job}`), { method: "DELETE" });
    card.dispatchEvent(new CustomEvent("songdeleted", { bubbles: true }));
  } catch (error) {
    button.textContent = error.message;
  }
});
