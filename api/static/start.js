// The start page: drop or choose songs, watch the upload, read the result.
import { address } from "./address.js";
import { authorization, request, storedKey, storeKey } from "./credentials.js";
import { bytes } from "./format.js";
import { removeInterrupted, showInterrupted } from "./interrupted_uploads.js";
import { attachPlayer } from "./player.js";
import { drawTable } from "./results_table.js";
import { forgetAllSongs, forgetSong, savedSongs, saveSong } from "./saved_songs.js";
import { follow, show } from "./song.js";
import { enqueueUpload, reject, stop } from "./upload_queue.js";

const form = document.querySelector("#drop");
const input = form.querySelector("input[type=file]");
const list = document.querySelector("#songs");
const template = document.querySelector("#song");
const keyField = document.querySelector("#key");
const files = new Map(); // job id → the file that it came from
const uploadOptions = {
  url: form.action,
  tus: form.dataset.tus,
  maxBytes: Number(form.dataset.maxBytes),
  onJob: (song, id) => watch(song.card, id, song.file),
};

if (keyField) {
  keyField.value = storedKey();
  keyField.addEventListener("change", () => storeKey(keyField.value.trim()));
}

input.multiple = true;
input.required = false;
input.addEventListener("change", () => {
  addFiles(input.files);
  input.value = "";
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = document.querySelector("#link");
  const url = withScheme(field.value.trim());
  if (!url) return field.focus();
  if (await submitLink(url))
    field.value = ""; // a link that was refused stays for correction
  else field.value = url;
});

for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  form.classList.remove("over");
  const folders = [...event.dataTransfer.items]
    .map((item) => item.webkitGetAsEntry?.())
    .filter((entry) => entry?.isDirectory)
    .map((entry) => entry.name);
  addFiles([...event.dataTransfer.files].filter((file) => !folders.includes(file.name)));
  for (const name of folders) {
    reject(
      { ...newCard(name, "folder"), file: { name } },
      "This is a folder. Open it and drop the songs inside.",
    );
  }
});

function addFiles(chosen) {
  for (const file of [...chosen]) {
    removeInterrupted(file);
    const song = { ...newCard(file.name, bytes(file.size)), file };
    if (isText(file)) {
      reject(song, "This is not an audio file. Choose an audio or video file.");
      song.card.querySelector(".again").hidden = true;
    } else enqueueUpload(song, uploadOptions);
  }
  if (chosen.length) list.firstElementChild?.scrollIntoView({ block: "nearest" });
}

function isText(file) {
  return /^(text|image)\/|^application\/(pdf|zip|json)/.test(file.type);
}

// A new song's card, above all others.
function newCard(name, size) {
  const item = template.content.firstElementChild.cloneNode(true);
  const card = item.querySelector(".song");
  card.querySelector(".name").textContent = name;
  card.querySelector(".size").textContent = size;
  card.querySelector(".dismiss").onclick = () => {
    item.remove();
    update();
  };
  list.prepend(item);
  update();
  return { card, startSeconds: form.elements.start_seconds.value };
}

function withScheme(url) {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(url) || !url ? url : `https://${url.replace(/^\/+/, "")}`;
}

// The end of a path, if it looks like a filename.
function filenameOf(url) {
  try {
    const last = decodeURIComponent(new URL(url).pathname.split("/").pop());
    return /\.[a-z0-9]{2,5}$/i.test(last) ? last.slice(0, 200) : "";
  } catch {
    return "";
  }
}

async function submitLink(url) {
  const name = filenameOf(url);
  const song = { ...newCard(name || "Song from a link", ""), file: { name: name || "Song" } };
  const part = (selector) => song.card.querySelector(selector);
  const control = new AbortController();
  part(".cancel").onclick = () => control.abort();
  part("progress").setAttribute("aria-label", `Progress of ${song.file.name}`);
  part("progress").removeAttribute("value");
  part(".status").textContent = "Sending the link…";
  song.card.scrollIntoView({ block: "nearest" });
  const body = { source_url: url };
  if (name) body.filename = name;
  if (song.startSeconds) body.start_seconds = Number(song.startSeconds);
  try {
    const response = await request(address("/v1/jobs"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: control.signal,
    });
    watch(song.card, (await response.json()).id);
    return true;
  } catch (error) {
    if (control.signal.aborted) stop(song, "Canceled.");
    else reject(song, error.message);
    part(".again").hidden = true; // the link is still in its field
    return false;
  }
}

function watch(card, id, file = null) {
  card.dataset.job = id;
  if (file) files.set(id, file);
  saveSong(id);
  follow(card, { onEnd: finish });
}

function finish(card) {
  if (!card) return;
  const file = files.get(card.dataset.job);
  if (file) {
    attachPlayer(card, file);
    offerAnotherPart(card, file);
  }
  update(card);
}

// Analyze another part of a song whose file this page still has.
function offerAnotherPart(card, file) {
  const part = card.querySelector(".another-part");
  if (!part) return;
  part.hidden = false;
  part.onsubmit = (event) => {
    event.preventDefault();
    const song = { ...newCard(file.name, bytes(file.size)), file };
    song.startSeconds = part.elements.start_seconds.value;
    enqueueUpload(song, uploadOptions);
  };
}

// Redraw what depends on all songs. `opened` is the card to show; the others collapse into the table.
function update(opened = null) {
  const cards = [...list.querySelectorAll(".song")];
  document.body.classList.toggle("has-songs", cards.length > 0);
  document.querySelector("#clear").hidden = !savedSongs().length;
  const finished = cards.filter((card) => card.dataset.result);
  const current = opened ?? finished.find((card) => !card.closest("li").hidden) ?? finished[0];
  for (const card of finished) card.closest("li").hidden = finished.length > 1 && card !== current;
  drawTable(cards, { onOpen: (card) => update(card) });
}

document.addEventListener("songdeleted", (event) => {
  forgetSong(event.target.dataset.job);
  event.target.closest("li").remove();
  update();
});

document.querySelector("#clear").onclick = () => {
  forgetAllSongs();
  for (const card of list.querySelectorAll(".song[data-result], .song.error"))
    card.closest("li").remove();
  update();
};

for (const id of savedSongs()) {
  const item = document.createElement("li");
  const card = document.createElement("article");
  card.dataset.job = id;
  item.append(card);
  list.append(item);
  show(card, id).then((fresh) => {
    if (!fresh) {
      item.remove();
      if (!keyField || authorization().Authorization) forgetSong(id);
    } else if (fresh.querySelector(".in-progress")) follow(fresh, { onEnd: finish });
    update();
  });
}
update();
showInterrupted(newCard);
