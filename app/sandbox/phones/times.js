// Hides how moments are written: phones of the demo live in China, whose clock has no summer time.

import { language, word } from "./page.js";

const ZONE = "Asia/Shanghai";
const DAY = 86400000;
const EIGHT_HOURS = 8 * 3600000;

const tongue = () => (language === "zh" ? "zh-CN" : "en-GB");
const day = (moment) => Math.floor((moment.getTime() + EIGHT_HOURS) / DAY);

function written(moment, parts) {
  return new Intl.DateTimeFormat(tongue(), { timeZone: ZONE, hourCycle: "h23", ...parts }).format(moment);
}

export const hour = (moment) => written(moment, { hour: "2-digit", minute: "2-digit" });

/** As WeChat writes it above a message: the time today, then yesterday, the weekday, the date. */
export function stamp(moment, now) {
  const past = day(now) - day(moment);
  const time = hour(moment);
  if (past === 0) return time;
  if (past === 1) return word("yesterday_time", { time });
  if (past > 1 && past < 7) return `${written(moment, { weekday: "long" })} ${time}`;
  return `${written(moment, { year: "numeric", month: "long", day: "numeric" })} ${time}`;
}

/** As WeChat writes it in the list of chats: shorter. */
export function briefly(moment, now) {
  const past = day(now) - day(moment);
  if (past === 0) return hour(moment);
  if (past === 1) return word("yesterday_time", { time: "" }).trim();
  return written(moment, { month: "numeric", day: "numeric" });
}

export const full = (moment) => `${written(moment, { month: "short", day: "numeric", weekday: "short" })} ${hour(moment)}`;

/** Seconds until the next 20:00 in China. */
export function untilEvening(now) {
  const evening = 20 * 3600000;
  const since = (((now.getTime() + EIGHT_HOURS - evening) % DAY) + DAY) % DAY;
  return Math.ceil((DAY - since) / 1000);
}

/** A length of time in its two largest units. */
export function span(seconds) {
  const minutes = Math.round(seconds / 60);
  const parts = [["span_days", Math.floor(minutes / 1440)], ["span_hours", Math.floor(minutes / 60) % 24], ["span_minutes", minutes % 60]];
  return parts.filter(([, count]) => count > 0).slice(0, 2).map(([key, count]) => word(key, { count })).join(" ");
}
