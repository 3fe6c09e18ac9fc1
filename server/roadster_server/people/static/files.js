// Hands over the files of the page: chosen, dropped or photographed one after the other. Without this script the form
// sends what its fields hold.
"use strict";
{
  const form = document.getElementById("files");
  const find = (id) => document.getElementById(id);
  const most = Number(form.dataset.most);
  const mostBytes = Number(form.dataset.bytes);
  let chosen = [];
  let isSending = false;

  const tell = (problem) => {
    find("problem").textContent = problem;
    find("problem").hidden = !problem;
  };

  const show = () => {
    const rows = chosen.map((file, index) => {
      const row = document.createElement("li");
      if (file.type === "image/jpeg" || file.type === "image/png") {
        const picture = document.createElement("img");
        picture.alt = "";
        picture.src = URL.createObjectURL(file);
        picture.onload = () => URL.revokeObjectURL(picture.src);
        row.append(picture);
      }
      const name = document.createElement("bdi");
      name.textContent = file.name;
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "plain";
      remove.textContent = "Remove";
      remove.setAttribute("aria-label", `Remove file ${index + 1}`);
      remove.onclick = () => {
        chosen.splice(index, 1);
        show();
        find("file").focus();
      };
      row.append(name, remove);
      return row;
    });
    find("chosen").replaceChildren(...rows);
    find("send").disabled = isSending;
    find("status").textContent = chosen.length ? `${chosen.length} chosen` : "";
  };

  const add = (files) => {
    tell("");
    for (const file of files) {
      if (file.size > mostBytes) {
        tell(`The file "${file.name}" is larger than 10 MiB. Make it smaller, or take a photo of it.`);
      } else if (form.dataset.pdf) {
        chosen = [file];
      } else if (chosen.length < most) {
        chosen.push(file);
      } else {
        tell(`At most ${most} photos become one PDF.`);
      }
    }
    show();
  };

  const finish = (about) => {
    clearInterval(watch);
    find("about").textContent = about;
    find("open").hidden = true;
    find("done").hidden = false;
    find("done").focus();
  };

  const send = () => {
    const body = new FormData();
    for (const file of chosen) {
      body.append("file", file);
    }
    const request = new XMLHttpRequest();
    request.open("POST", location.href);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-Form-Token", form.dataset.token);
    request.responseType = "json";
    const end = (problem) => {
      isSending = false;
      find("progress").hidden = true;
      show();
      tell(problem);
    };
    request.upload.onprogress = (event) => {
      find("bar").value = (100 * event.loaded) / event.total;
      if (event.loaded === event.total) {
        find("status").textContent = "Sent. It is looked into.";
      }
    };
    request.onload = () => {
      const answer = request.response ?? {};
      if (answer.about) {
        finish(answer.about);
      } else if (answer.is_over) {
        location.reload();
      } else {
        // What was refused once would be refused again, so it is chosen no more.
        for (const number of answer.refused ?? []) {
          chosen = chosen.filter((_, index) => number !== null && index !== number);
        }
        end(answer.problem ?? "This did not work. Try again.");
      }
    };
    request.onerror = () => end("The connection broke off. Try again.");
    isSending = true;
    tell("");
    show();
    find("progress").hidden = false;
    find("status").textContent = "Sending";
    request.send(body);
  };

  // A phone may hand over the file while this page is open on a computer.
  const look = async () => {
    if (document.hidden || isSending) {
      return;
    }
    try {
      const answer = await (await fetch(form.dataset.state)).json();
      if (answer.about) {
        finish(answer.about);
      } else if (answer.is_over) {
        location.reload();
      }
    } catch {
      // The next look may find the server again.
    }
  };
  const watch = setInterval(look, 3000);

  for (const id of ["file", "photo"]) {
    find(id)?.addEventListener("change", (event) => {
      add(event.target.files);
      event.target.value = "";
    });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!chosen.length) {
      tell("Choose a file first.");
    } else if (!isSending) {
      send();
    }
  });
  const drop = find("drop");
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    add(event.dataTransfer.files);
  });
  find("dropping").hidden = !matchMedia("(pointer: fine)").matches;
  show();
}
