// Shows times in the person's own zone. The page has them in UTC.
"use strict";
for (const element of document.querySelectorAll("time[datetime]")) {
  const time = new Date(element.dateTime);
  element.title = element.textContent;
  element.textContent = time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
