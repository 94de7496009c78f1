// The rating page: shows the pair that the server names as current and tells it what the rater chose.
// One request at a time, repeated until the server has answered it; the server counts a repeat once.

const CHOICES = { ArrowLeft: "first", ArrowRight: "second", ArrowUp: "tie", ArrowDown: "cannot_tell" };
const SAID = { first: "first", second: "second", tie: "equally near", cannot_tell: "cannot tell" };
const LOOK_EVERY = 10_000; // ms between two looks whether the server is there and another tab has gone on
const KEPT = `pending ${location.pathname}`; // where a request that is not confirmed yet survives a reload

const at = (id) => document.getElementById(id);
const pair = at("pair");
const images = pair.querySelectorAll("img");
let state = null; // what the server said last
let shown = ""; // key and attempt of the question on the screen
let ready = false; // both of its pictures can be seen
let since = 0; // when they could, ms
let busy = false; // a request of the rater's is on its way
let actions = 0; // requests of the rater's so far: an older look at the state must not undo a newer one
let early = []; // pictures loaded before their turn

history.replaceState(null, "", location.pathname); // the token is in a cookie by now

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

class Refused extends Error {} // the link is not valid any more
class Mistaken extends Error {} // the server cannot make sense of it, so that trying again is of no use

async function request(path, body) {
  const options = { cache: "no-store", signal: AbortSignal.timeout(10_000) };
  if (body) {
    Object.assign(options, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }
  const reply = await fetch(path, options);
  if (reply.status === 403) throw new Refused();
  if (reply.status >= 400 && reply.status < 500) throw new Mistaken();
  if (!reply.ok) throw new Error(`status ${reply.status}`);
  return reply.json();
}

// Ask until there is an answer; whatever the rater did is kept over a reload until then.
async function insist(path, body) {
  if (body) sessionStorage.setItem(KEPT, JSON.stringify({ path, body }));
  for (let tries = 1; ; tries++) {
    try {
      const reply = await request(path, body);
      forget();
      found();
      return reply;
    } catch (error) {
      if (error instanceof Refused) throw error;
      if (error instanceof Mistaken && body) return insist("state", forget());
      lost(body, tries);
      await sleep(Math.min(500 * 1.5 ** tries, 4000));
    }
  }
}

function forget() {
  sessionStorage.removeItem(KEPT);
}

function lost(body, tries) {
  let text = "Connection lost, trying again …";
  if (body) text += " What you chose is kept and will be sent.";
  if (tries > 4) text += " If the program was ended, start it again and open its new link.";
  if (at("lost").textContent !== text) at("lost").textContent = text;
  at("lost").hidden = false;
}

function found() {
  at("lost").hidden = true;
}

function refuse() {
  found(); // what is kept stays: it is sent when this tab opens the new link
  for (const id of ["asking", "done", "finish"]) at(id).hidden = true;
  at("refused").hidden = false;
  document.body.classList.add("over");
  state = null;
}

// Do what the rater asked for; while that is on its way nothing else is taken.
async function act(path, body, said) {
  if (busy) return;
  busy = true;
  actions++;
  buttons();
  try {
    const reply = state?.finished ? await once(path, body) : await insist(path, body);
    busy = false;
    if (reply) {
      at("spoken").textContent = said ?? "";
      await show(reply);
    }
  } catch (error) {
    busy = false;
    if (!(error instanceof Refused)) throw error;
    refuse();
  }
  buttons();
}

// When all is done the program may have ended, which is no reason to go on trying.
async function once(path, body) {
  try {
    return await request(path, body);
  } catch (error) {
    if (error instanceof Refused) throw error;
    at("undo-last").hidden = at("go-on").hidden = true;
    at("close").textContent = "The session has ended and everything is kept. You can close this page now.";
    return null;
  }
}

function choose(choice) {
  const question = state?.question;
  if (!question || busy || !ready) return;
  for (const button of document.querySelectorAll(`[data-choice="${choice}"]`)) button.classList.add("chosen");
  const seconds = (performance.now() - since) / 1000;
  act("answer", { key: question.key, attempt: question.attempt, choice, seconds }, `Saved: ${SAID[choice]}.`);
}

function undo() {
  if (state?.undo) act("undo", state.undo, "Undone.");
}

async function show(next) {
  state = next;
  for (const button of document.querySelectorAll(".chosen")) button.classList.remove("chosen");
  const { question, done, total } = state;
  at("count").textContent = `${done} / ${total}`;
  at("pace").textContent = describePace(state);
  at("bar").max = Math.max(total, 1);
  at("bar").value = done;
  document.body.classList.toggle("over", !question);
  document.title = question ? `${done}/${total} · ${question.task}` : "Thank you";
  at("asking").hidden = !question;
  at("done").hidden = Boolean(question);
  at("finish").hidden = !question;
  if (!question) return thank();
  if (at("task").textContent !== question.task) at("task").textContent = question.task;
  buttons();
  if (`${question.key} ${question.attempt}` !== shown) await showPair(question);
}

async function showPair(question) {
  const mine = (shown = `${question.key} ${question.attempt}`);
  ready = false;
  pair.classList.add("loading");
  const loaded = await Promise.all([question.first, question.second].map((name) => load(name, () => shown === mine)));
  if (shown !== mine) return;
  loaded.forEach((picture, i) => (images[i].src = picture.src));
  await Promise.all([...images].map((image) => image.decode().catch(() => {})));
  if (shown !== mine) return;
  pair.classList.toggle("wide", loaded.some((picture) => picture.naturalWidth > 1.9 * picture.naturalHeight));
  pair.classList.remove("loading");
  ready = true;
  since = performance.now();
  buttons();
  early = state.next.map(picture);
}

function picture(name) {
  const image = new Image();
  image.src = `pictures/${name}.png`;
  return image;
}

async function load(name, wanted) {
  for (let tries = 1; wanted(); tries++) {
    const image = picture(name);
    try {
      await image.decode();
      if (tries > 1) found();
      return image;
    } catch {
      lost(null, tries);
      await sleep(Math.min(500 * 1.5 ** tries, 4000));
    }
  }
  return new Image();
}

function describePace({ pace, minutes_left }) {
  if (!pace) return "";
  const left = minutes_left < 1 ? "under 1 min left" : `${Math.round(minutes_left)} min left`;
  return `${Math.round(pace)} pairs/min · ${left}`;
}

function thank() {
  shown = "";
  at("thanks").textContent = `Done. Thank you, ${state.rater}!`;
  at("told").textContent =
    state.finished === "all"
      ? `You have judged all ${state.total} pairs.`
      : `You have judged ${state.done} of ${state.total} pairs. The others wait for another time.`;
  at("undo-last").hidden = !state.undo;
  at("go-on").hidden = state.finished !== "early";
  at("thanks").focus();
}

function buttons() {
  for (const button of document.querySelectorAll("[data-choice]")) {
    button.setAttribute("aria-disabled", String(busy || !ready)); // disabled ones would lose the focus
  }
  at("undo").disabled = busy || !state?.undo;
}

// Another tab may have gone on, or the connection may be gone while the rater thinks.
async function look() {
  if (busy || document.hidden || !state?.question) return;
  const before = actions;
  try {
    const reply = await request("state");
    if (before !== actions || busy) return;
    if (ready) found();
    await show(reply);
  } catch (error) {
    if (before !== actions || busy) return;
    if (error instanceof Refused) refuse();
    else lost(null, 1);
  }
}

for (const button of document.querySelectorAll("[data-choice]")) {
  button.addEventListener("click", () => choose(button.dataset.choice));
}
at("undo").addEventListener("click", undo);
at("undo-last").addEventListener("click", undo);
at("go-on").addEventListener("click", () => act("finish", { finished: false }));
at("finish").addEventListener("click", () => {
  at("sure-text").textContent =
    `${state.done} of ${state.total} pairs are judged. They are kept; the other ${state.total - state.done} stay open.`;
  at("sure").showModal();
});
at("stay").addEventListener("click", () => at("sure").close());
at("leave").addEventListener("click", () => {
  at("sure").close();
  act("finish", { finished: true });
});
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || at("sure").open) return;
  if (event.key in CHOICES) {
    event.preventDefault(); // no scrolling
    if (!event.repeat) choose(CHOICES[event.key]); // a key held down is one answer
  } else if (event.key.toLowerCase() === "u" && !event.repeat) undo();
});
document.addEventListener("visibilitychange", look);
window.addEventListener("online", look);
setInterval(look, LOOK_EVERY);

async function start() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  try {
    await show(await (kept ? insist(kept.path, kept.body) : insist("state")));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse();
  }
}
start();
