// node tus_client.mjs NODE_MODULES ENDPOINT FILE CHUNK_BYTES [OPTIONS as JSON]: upload with tus-js-client, aborting it once
// half-way and resuming; prints the upload's address.
import { createReadStream, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, endpoint, path, chunk, more] = process.argv.slice(2);
const tus = createRequire(join(modules, "x.js"))("tus-js-client");
const size = statSync(path).size;
let aborted = false;

const upload = new tus.Upload(createReadStream(path), {
  endpoint,
  uploadSize: size,
  chunkSize: Number(chunk) || size,
  retryDelays: [100, 500, 1000],
  ...JSON.parse(more ?? "{}"),
  metadata: { filename: "söng.flac", filetype: "audio/flac" },
  onProgress(sent) {
    if (aborted || sent < size / 2) return;
    aborted = true;
    upload.abort().then(() => {
      const rest = new tus.Upload(createReadStream(path), {
        ...upload.options,
        uploadUrl: upload.url,
        onProgress: null,
      });
      rest.start();
    });
  },
  onSuccess() {
    console.log(upload.url);
    process.exit(0); // the stream of the broken-off upload would keep node waiting
  },
  onError(error) {
    console.error(String(error));
    process.exit(1);
  },
});
upload.start();
