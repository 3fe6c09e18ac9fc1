// Says that the link is used. A browser that saves a file leaves the page as it was.
"use strict";
document.querySelector("#open form").addEventListener("submit", () => {
  // Later than the browser has read the form.
  setTimeout(() => {
    document.getElementById("open").hidden = true;
    document.getElementById("done").hidden = false;
    document.getElementById("done").focus();
  });
});
