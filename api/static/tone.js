// Reference tones: a button with data-hz sounds like a struck tuning fork, until it fades or is pressed again.

let context = null;
let sounding = null;

function stop() {
  if (!sounding) return;
  const { button, gain, oscillators } = sounding;
  sounding = null;
  button.setAttribute("aria-pressed", "false");
  const now = context.currentTime;
  gain.gain.cancelScheduledValues(now);
  gain.gain.setTargetAtTime(0, now, 0.03);
  for (const oscillator of oscillators) oscillator.stop(now + 0.3);
}

function play(button) {
  context ??= new AudioContext();
  context.resume();
  const now = context.currentTime;
  const hz = Number(button.dataset.hz);
  const gain = new GainNode(context, { gain: 0 });
  gain.connect(context.destination);
  gain.gain.linearRampToValueAtTime(0.3, now + 0.02);
  gain.gain.setTargetAtTime(0, now + 0.4, 1.6);
  const oscillators = [
    [1, 1],
    [2, 0.12],
    [6.27, 0.015],
  ].map(([ratio, level]) => {
    const part = new GainNode(context, { gain: level });
    const oscillator = new OscillatorNode(context, { frequency: hz * ratio });
    oscillator.connect(part).connect(gain);
    oscillator.start(now);
    oscillator.stop(now + 7);
    return oscillator;
  });
  button.setAttribute("aria-pressed", "true");
  sounding = { button, gain, oscillators };
  oscillators[0].onended = () => {
    if (sounding?.button === button && sounding.oscillators === oscillators) stop();
  };
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-hz]");
  if (!button) return;
  const again = sounding?.button === button;
  stop();
  if (!again) play(button);
});
