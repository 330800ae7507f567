// Reads manifests of KEDA as a JSON list from standard input, and fails with what is wrong in one of them.
// node keda_validate.cjs FOLDER  (the one that has node_modules)
const path = require("node:path");
const models = require(path.join(process.argv[2], "node_modules/@kubernetes-models/keda/keda.sh/v1alpha1"));
const manifests = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
for (const manifest of manifests) new models[manifest.kind](manifest).validate();
