// Times as text.

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });

/** How long ago a date was: `now`, `5 min. ago`, `3 hr. ago`. A date in the future, by a wrong clock, is `now`. */
export function formatAge(date) {
  const seconds = Math.min(0, Math.round((date - Date.now()) / 1000));
  if (seconds > -60) return "now";
  if (seconds > -3600) return relative.format(Math.round(seconds / 60), "minute");
  return seconds > -86400 ? relative.format(Math.round(seconds / 3600), "hour") : relative.format(Math.round(seconds / 86400), "day");
}
