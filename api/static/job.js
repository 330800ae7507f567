// The page of one result: live until the job is final.
import { address } from "./address.js";
import { localNumbers, localTimes } from "./format.js";
import { follow } from "./song.js";

localTimes();
localNumbers();
const card = document.querySelector("#live .song");
if (card?.querySelector(".in-progress")) {
  if (card.dataset.shared !== undefined) setTimeout(() => location.reload(), 3000);
  else follow(card, { heading: "h1", onEnd: () => location.reload() });
}
document.addEventListener("songdeleted", () => location.assign(address("/")));
