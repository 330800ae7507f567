// The sentences for a job's stages. The server writes them into the page (api/web/stage_text.py).

const sentences = JSON.parse(document.querySelector("[data-stages]").dataset.stages);

export function stageSentence(stage, { position = null, attempt = 1 } = {}) {
  let sentence = sentences[stage] ?? stage;
  if (position != null)
    sentence = sentences[`${stage}:${position > 1 ? "n" : position}`] ?? sentence;
  if (attempt > 1) sentence = sentences[`${stage}:again`] ?? sentence;
  return sentence.replace("{position}", position).replace("{attempt}", attempt);
}
