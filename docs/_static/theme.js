// The theme that was chosen, before the page is drawn. A file, so that a policy can forbid scripts in the page.
document.body.dataset.theme = localStorage.getItem("theme") ?? "auto";
