"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Light or dark: as the system says, until the reader chooses.
document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});

// Tables: a click on a heading sorts, typing filters. Empty cells stay last.
const text = (row, index) => row.children[index]?.textContent.trim() ?? "";
const isNumber = word => /^-?\d/.test(word);
function compare(one, two) {
  return isNumber(one) && isNumber(two) ? parseFloat(one) - parseFloat(two)
    : isNumber(one) !== isNumber(two) ? (isNumber(one) ? -1 : 1) : one.localeCompare(two);
}
for (const box of all(".table")) {
  const body = box.querySelector("tbody");
  box.querySelector("input").addEventListener("input", event => {
    const wanted = event.target.value.toLowerCase();
    for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  const heads = all("th[aria-sort]", box);
  heads.forEach((head, index) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].sort((one, two) => {
      const [a, b] = [text(one, index), text(two, index)];
      return a === "" || b === "" ? (a === "") - (b === "") : (up ? 1 : -1) * compare(a, b);
    });
    body.append(...rows);
  }));
}

// A link to a run opens what is folded there.
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target) { target.open = true; target.scrollIntoView() }
}
addEventListener("hashchange", openTarget);
openTarget();

// Videos are fetched only when they come into view. Those of one state play in step: they start,
// pause and seek together; a shorter one rests on its last frame until all have ended.
const load = video => { if (!video.src) video.src = video.dataset.src };
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
class Player {
  constructor(state) {
    this.state = state;
    this.button = state.querySelector(".play");
    this.seek = state.querySelector(".seek");
    this.playing = false;
    this.wanted = !calm;
    for (const video of all("video", state)) {
      video.addEventListener("timeupdate", () => this.follow());
      video.addEventListener("loadedmetadata", () => this.follow());
      video.addEventListener("ended", () => this.restart());
    }
    this.button.addEventListener("click", () => {
      this.wanted = !this.playing;
      this.playing ? this.pause() : this.play();
    });
    this.seek.addEventListener("input", () => {
      this.wanted = false;
      this.pause();
      for (const video of this.videos()) { load(video); this.moveTo(video, Number(this.seek.value)) }
    });
  }
  videos() { return all("figure:not([hidden]) video", this.state) }
  leader() { return this.videos().reduce((one, two) => (two.duration > one.duration ? two : one)) }
  moveTo(video, time) { video.currentTime = Math.min(time, video.duration || time) }
  show(playing) {
    this.playing = playing;
    this.button.textContent = playing ? "pause" : "play";
    this.button.setAttribute("aria-pressed", playing);
  }
  play() {
    for (const video of this.videos()) { load(video); if (!video.ended) video.play().catch(() => {}) }
    if (this.videos().every(video => video.ended)) this.restart();
    this.show(true);
  }
  pause() { for (const video of all("video", this.state)) video.pause(); this.show(false) }
  follow() {
    if (!this.videos().length) return;
    const leader = this.leader();
    this.seek.max = leader.duration || 1;
    if (!this.playing) return;
    this.seek.value = leader.currentTime;
    for (const video of this.videos())
      if (Math.abs(video.currentTime - Math.min(leader.currentTime, video.duration || 0)) > .15)
        this.moveTo(video, leader.currentTime);
  }
  restart() {
    const videos = this.videos();
    if (!this.playing || !videos.every(video => video.ended)) return;
    for (const video of videos) { video.currentTime = 0; video.play().catch(() => {}) }
  }
}
const players = new Map(all(".state").map(state => [state, new Player(state)]));
const seen = new IntersectionObserver(entries => {
  for (const {target, isIntersecting} of entries) {
    const player = players.get(target);
    if (player) {
      if (!isIntersecting) player.pause();
      else if (player.wanted) player.play();
      else player.videos().forEach(load);
    } else if (isIntersecting) {
      load(target);
      if (!calm) target.play().catch(() => {});
    } else target.pause();
  }
}, {rootMargin: "100px"});
players.forEach((_, state) => seen.observe(state));
all(".mosaic").forEach(video => seen.observe(video));

// Choosing policies and statuses: a state is shown while one of its shown episodes fits.
for (const gallery of all(".gallery")) {
  const [left, right, status] = ["left", "right", "status"].map(name => gallery.querySelector("select." + name));
  const update = () => {
    const wanted = [left.value, right.value].filter(value => value !== "");
    for (const state of all(".state", gallery)) {
      players.get(state).pause();
      const figures = all("figure", state);
      for (const figure of figures) {
        figure.hidden = wanted.length > 0 && !wanted.includes(figure.dataset.policy);
        figure.style.order = wanted.indexOf(figure.dataset.policy);
      }
      const shown = figures.filter(figure => !figure.hidden);
      state.hidden = shown.length < new Set(wanted).size
        || !shown.some(figure => !status.value || figure.dataset.status === status.value);
    }
    // What is in view now plays anew.
    players.forEach((_, state) => { seen.unobserve(state); seen.observe(state) });
  };
  for (const select of [left, right, status]) select.addEventListener("change", update);
}
