// The page of one job: live until it is final.
import { follow } from "./song.js";

const card = document.querySelector("#live .song");
if (card && card.querySelector(".going"))
  follow(card, { heading: "h1", onEnd: () => location.reload() });
