// Plays the person's own file, as it is or retuned by playback rate. The file never leaves the browser again.

const urls = new WeakMap(); // file → object URL

export function attachPlayer(card, file) {
  const place = card.querySelector(".player");
  const a4 = Number(card.dataset.a4);
  if (!place || !a4 || !file?.size) return;
  const audio = place.querySelector("audio");
  if (!urls.has(file)) urls.set(file, URL.createObjectURL(file));
  audio.src = urls.get(file);
  audio.preservesPitch = false;
  audio.onerror = () => (place.hidden = true); // the browser can't decode this format
  for (const button of place.querySelectorAll("[data-target]")) {
    button.onclick = () => {
      const target = Number(button.dataset.target);
      audio.playbackRate = target ? target / a4 : 1;
      for (const other of place.querySelectorAll("[data-target]")) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      audio.play();
    };
  }
  place.hidden = false;
}
